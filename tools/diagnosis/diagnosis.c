/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: asks the judge of each row, ranks what they say. */
#include "diagnosis/diagnosis.h"

#include <string.h>

#include "judge.h"

struct row {
	const char *name;
	enum fault fault;
	const char *title, *advice;
	bool (*judge)(const struct sight *s, struct verdict *v);
};

static const struct row rows[CAUSE_COUNT] = {
#define CAUSE(name, fault, title, advice) {#name, FAULT_##fault, title, advice, judge_##name},
#include "diagnosis/causes.def"
#undef CAUSE
};

static const struct row *row_of(enum cause cause)
{
	return &rows[(unsigned)cause < CAUSE_COUNT ? cause : CAUSE_UNKNOWN];
}

const char *cause_name(enum cause cause)
{
	return row_of(cause)->name;
}

const char *cause_title(enum cause cause)
{
	return row_of(cause)->title;
}

const char *fault_name(enum fault fault)
{
	static const char *const names[] = {"none", "program",	     "host",   "network",
					    "peer", "configuration", "unknown"};

	return names[(unsigned)fault <= FAULT_UNKNOWN ? fault : FAULT_UNKNOWN];
}

const char *confidence_name(enum confidence confidence)
{
	static const char *const names[] = {"low", "medium", "high"};

	return names[(unsigned)confidence <= CONFIDENCE_HIGH ? confidence : CONFIDENCE_LOW];
}

static bool judge(enum cause cause, const struct sight *s, struct verdict *v)
{
	const struct row *row = row_of(cause);

	/* not the texts: clearing them for each cause would take longer than judging */
	v->cause = cause;
	v->fault = row->fault;
	v->confidence = CONFIDENCE_MEDIUM;
	v->cost_ns = 0;
	v->evidence_count = 0;
	v->not_told_from_count = 0;
	v->advice = row->advice;
	if (!row->judge(s, v))
		return false;
	/* no verdict without figures, however little is known */
	if (!v->evidence_count)
		say_split(s, v);
	return true;
}

/* After those that cost as much or more: the order of the catalogue decides among equals. */
static void insert(struct verdict *verdicts, unsigned count, unsigned room, const struct verdict *v)
{
	unsigned at = count;

	while (at && verdicts[at - 1].cost_ns < v->cost_ns)
		at--;
	if (at >= room)
		return;
	if (count == room)
		count--;
	memmove(&verdicts[at + 1], &verdicts[at], (count - at) * sizeof(*verdicts));
	verdicts[at] = *v;
}

unsigned diagnose(const struct facts *facts, struct verdict *verdicts, unsigned room)
{
	struct verdict v;
	struct sight sight;
	unsigned count = 0;

	if (!room)
		return 0;
	sight_make(facts, &sight);
	for (unsigned cause = CAUSE_NONE + 1; cause < CAUSE_COUNT; cause++) {
		if (!judge((enum cause)cause, &sight, &v))
			continue;
		insert(verdicts, count, room, &v);
		count += count < room;
		sight.found++;
	}
	if (!count && judge(CAUSE_NONE, &sight, &v))
		verdicts[count++] = v;
	return count;
}
