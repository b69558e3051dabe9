/* SPDX-License-Identifier: Apache-2.0 */
/* Orders verdicts: causes before their consequences, then by cost. */
#include "diagnosis/diagnosis.h"
#include "judge.h"

enum relation_kind { RELATION_FOLLOWS, RELATION_INSTEAD };

static const struct relation {
	enum relation_kind kind;
	enum cause one, other;
} relations[] = {
#define FOLLOWS(effect, from) {RELATION_FOLLOWS, CAUSE_##effect, CAUSE_##from},
#define INSTEAD(better, of) {RELATION_INSTEAD, CAUSE_##better, CAUSE_##of},
#include "diagnosis/relations.def"
#undef FOLLOWS
#undef INSTEAD
};

static bool are_related(enum relation_kind kind, enum cause one, enum cause other)
{
	for (unsigned i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
		if (relations[i].kind == kind && relations[i].one == one &&
		    relations[i].other == other)
			return true;
	}
	return false;
}

/* Another verdict in `found` says the same and more. */
static bool is_outdone(const struct verdict *const *found, unsigned count, const struct verdict *v)
{
	for (unsigned i = 0; i < count; i++) {
		if (are_related(RELATION_INSTEAD, found[i]->cause, v->cause))
			return true;
	}
	return false;
}

static unsigned drop_outdone(struct verdict **found, unsigned count)
{
	struct verdict *kept[CAUSE_COUNT];
	unsigned left = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!is_outdone((const struct verdict *const *)found, count, found[i]))
			kept[left++] = found[i];
	}
	for (unsigned i = 0; i < left; i++)
		found[i] = kept[i];
	return left;
}

/* Costs this close (1/16) count as equal: they are not measured more precisely. */
#define NEARLY 16

static bool goes_before(const struct verdict *a, const struct verdict *b)
{
	uint64_t less = a->cost_ns < b->cost_ns ? a->cost_ns : b->cost_ns;
	uint64_t more = a->cost_ns < b->cost_ns ? b->cost_ns : a->cost_ns;

	if (more - less > more / NEARLY)
		return a->cost_ns > b->cost_ns;
	return a->cause < b->cause;
}

/* At equal cost, the catalog's order decides. */
static void sort_by_cost(struct verdict **found, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		struct verdict *v = found[i];
		unsigned at = i;

		for (; at && goes_before(v, found[at - 1]); at--)
			found[at] = found[at - 1];
		found[at] = v;
	}
}

/* A cause that took less than a quarter of the time did not lead to the other. */
#define SMALL_PART 4

struct order {
	struct verdict **found;
	unsigned count;
	struct verdict *out[CAUSE_COUNT];
	unsigned placed;
	bool taken[CAUSE_COUNT];
};

static void place(struct order *o, unsigned i)
{
	struct verdict *v = o->found[i];

	o->taken[i] = true;
	for (unsigned j = 0; j < o->count; j++) {
		if (!are_related(RELATION_FOLLOWS, v->cause, o->found[j]->cause) ||
		    o->found[j]->cost_ns < v->cost_ns / SMALL_PART)
			continue;
		if (!o->taken[j])
			place(o, j);
		say(v, "a consequence of %s", cause_name(o->found[j]->cause));
	}
	o->out[o->placed++] = v;
}

unsigned rank(struct verdict **found, unsigned count)
{
	struct order order = {.found = found};

	order.count = drop_outdone(found, count);
	sort_by_cost(found, order.count);
	for (unsigned i = 0; i < order.count; i++) {
		if (!order.taken[i])
			place(&order, i);
	}
	for (unsigned i = 0; i < order.count; i++)
		found[i] = order.out[i];
	return order.count;
}
