/* SPDX-License-Identifier: Apache-2.0 */
/* Sorts pointers to rows such that equal ones stand together, each run by time. See figures.h. */
#include <stdlib.h>

#include "report/figures.h"

typedef const struct report_row *row_pointer;

/* ---- what is alike ----------------------------------------------------------- */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_all(row_pointer a, row_pointer b)
{
	(void)a;
	(void)b;
	return 0;
}

static int compare_trouble(row_pointer a, row_pointer b)
{
	int order = compare_numbers(a->cause, b->cause);

	order = order ? order : compare_numbers(a->fault, b->fault);
	order = order ? order : compare_numbers(a->peer, b->peer);
	return order ? order : compare_numbers(a->path, b->path);
}

static int compare_session(row_pointer a, row_pointer b)
{
	int order = compare_numbers(a->version, b->version);

	order = order ? order : compare_numbers(a->cipher, b->cipher);
	return order ? order : compare_numbers(a->flags & ROW_RESUMED, b->flags & ROW_RESUMED);
}

static int compare_retries(row_pointer a, row_pointer b)
{
	return compare_numbers(retries_bucket(a->retries), retries_bucket(b->retries));
}

unsigned retries_bucket(uint32_t retries)
{
	return retries < 4 ? retries : 33u - (unsigned)__builtin_clz(retries);
}

void retries_range(unsigned bucket, uint32_t *first, uint32_t *last)
{
	*first = bucket < 4 ? bucket : 1u << (bucket - 2);
	*last = bucket < 4 ? bucket : *first * 2 - 1;
}

static bool is_ok(row_pointer row)
{
	return row->outcome == TLSTALL_OUTCOME_OK && !(row->flags & ROW_OVERWRITTEN);
}

static bool is_troubled(row_pointer row)
{
	return row->flags & ROW_TROUBLED;
}

static bool is_any(row_pointer row)
{
	(void)row;
	return true;
}

/* `by_size`: the largest group first, else in the order of what is compared. */
static const struct {
	bool (*wanted)(row_pointer row);
	int (*compare)(row_pointer a, row_pointer b);
	bool by_size;
} groupings[] = {
	[GROUP_ALL_OK] = {is_ok, compare_all, true},
	[GROUP_TROUBLE] = {is_troubled, compare_trouble, true},
	[GROUP_SESSION] = {is_any, compare_session, true},
	[GROUP_RETRIES] = {is_any, compare_retries, false},
};

/* ---- runs of equals ------------------------------------------------------------ */

static int compare_rows(const void *a, const void *b, void *grouping)
{
	const row_pointer *one = a, *two = b;
	int order = groupings[*(enum grouping *)grouping].compare(*one, *two);

	return order ? order : compare_numbers((*one)->duration_ns, (*two)->duration_ns);
}

static uint64_t rank(const row_pointer *sorted, size_t count, unsigned per_hundred)
{
	size_t place = (size_t)(((unsigned __int128)count * per_hundred + 99) / 100);

	return sorted[place - 1]->duration_ns;
}

static void sum_up(const row_pointer *sorted, size_t count, struct group *group)
{
	*group = (struct group){
		.worst = sorted[count - 1],
		.count = count,
		.time = {rank(sorted, count, 50), rank(sorted, count, 90), rank(sorted, count, 99),
			 rank(sorted, count, 100)},
	};
	for (size_t i = 0; i < count; i++) {
		group->total_ns += sorted[i]->duration_ns;
		group->outcomes[sorted[i]->outcome & 3]++;
		group->stalled += sorted[i]->outcome == TLSTALL_OUTCOME_OK &&
				  (sorted[i]->flags & ROW_TROUBLED);
	}
}

static int add_group(struct groups *groups, const row_pointer *sorted, size_t count)
{
	size_t room = groups->count;

	/* a power of two: full */
	if (!(room & (room - 1))) {
		struct group *list = realloc(groups->list, (room ? room * 2 : 1) * sizeof(*list));

		if (!list)
			return -1;
		groups->list = list;
	}
	sum_up(sorted, count, &groups->list[groups->count++]);
	return 0;
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *one = a, *two = b;
	int order = compare_numbers(two->count, one->count);

	return order ? order : compare_numbers(two->total_ns, one->total_ns);
}

static int cut(const row_pointer *rows, size_t count, enum grouping grouping, struct groups *groups)
{
	size_t first = 0;

	for (size_t i = 1; i <= count; i++) {
		if (i < count && !groupings[grouping].compare(rows[first], rows[i]))
			continue;
		if (add_group(groups, rows + first, i - first) < 0)
			return -1;
		first = i;
	}
	if (groupings[grouping].by_size && groups->count)
		qsort(groups->list, groups->count, sizeof(*groups->list), compare_groups);
	return 0;
}

int groups_make(const struct report *report, enum grouping grouping, struct groups *out)
{
	row_pointer *rows = malloc((report->count + 1) * sizeof(*rows));
	size_t count = 0;
	int result;

	*out = (struct groups){0};
	if (!rows)
		return -1;
	for (size_t i = 0; i < report->count; i++) {
		if (groupings[grouping].wanted(&report->rows[i]))
			rows[count++] = &report->rows[i];
	}
	qsort_r(rows, count, sizeof(*rows), compare_rows, &grouping);
	result = cut(rows, count, grouping, out);
	free(rows);
	return result;
}

void groups_free(struct groups *groups)
{
	free(groups->list);
	*groups = (struct groups){0};
}
