/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnosis/diagnosis.h"

struct row {
	const char *name;
	enum fault fault;
	const char *title, *advice;
};

static const struct row rows[CAUSE_COUNT] = {
#define CAUSE(name, fault, title, advice) {#name, FAULT_##fault, title, advice},
#include "diagnosis/causes.def"
#undef CAUSE
};

const char *cause_name(enum cause cause)
{
	return cause < CAUSE_COUNT ? rows[cause].name : rows[CAUSE_UNKNOWN].name;
}

const char *cause_title(enum cause cause)
{
	return cause < CAUSE_COUNT ? rows[cause].title : rows[CAUSE_UNKNOWN].title;
}

const char *fault_name(enum fault fault)
{
	static const char *const names[] = {"none", "program", "host", "network",
					    "peer", "configuration", "unknown"};

	return fault <= FAULT_UNKNOWN ? names[fault] : names[FAULT_UNKNOWN];
}

const char *confidence_name(enum confidence confidence)
{
	static const char *const names[] = {"low", "medium", "high"};

	return confidence <= CONFIDENCE_HIGH ? names[confidence] : names[CONFIDENCE_LOW];
}

unsigned diagnose(const struct facts *facts, struct verdict *verdicts, unsigned room)
{
	enum cause cause = facts->h.outcome == TLSTALL_OUTCOME_OK ? CAUSE_NONE : CAUSE_UNKNOWN;

	if (!room)
		return 0;
	verdicts[0] = (struct verdict){.cause = cause,
				       .fault = rows[cause].fault,
				       .advice = rows[cause].advice};
	return 1;
}
