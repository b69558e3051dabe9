/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers the groups, then sorts by number and time. See figures.h. */
#include <stdlib.h>
#include <string.h>

#include "report/figures.h"

typedef const struct report_row *row_pointer;

/* ---- what is alike ----------------------------------------------------------- */

/* Rows belong to one group if these are equal. */
struct key {
	uint64_t high, low;
};

static struct key key_all(row_pointer row)
{
	(void)row;
	return (struct key){0, 0};
}

static struct key key_trouble(row_pointer row)
{
	uint64_t what = (uint64_t)row->cause << 8 | row->fault;

	return (struct key){what << 32 | row->peer, row->site};
}

static struct key key_session(row_pointer row)
{
	return (struct key){row->version, (uint64_t)row->cipher << 1 | (row->flags & ROW_RESUMED)};
}

static struct key key_retries(row_pointer row)
{
	return (struct key){retries_bucket(row->retries), 0};
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
	return row->outcome == TLSTALL_OUTCOME_OK;
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

static const struct {
	bool (*wanted)(row_pointer row);
	struct key (*key)(row_pointer row);
} groupings[] = {
	[GROUP_ALL_OK] = {is_ok, key_all},
	[GROUP_TROUBLE] = {is_troubled, key_trouble},
	[GROUP_SESSION] = {is_any, key_session},
	[GROUP_RETRIES] = {is_any, key_retries},
};

/* ---- numbers of groups ---------------------------------------------------------- */

struct numbering {
	struct key *keys;     /* by number */
	uint32_t *table;      /* open addressing; number + 1, 0: free */
	uint32_t count, room; /* the table has twice as many entries */
};

static uint32_t *find(const struct numbering *numbering, const struct key *key)
{
	uint32_t mask = numbering->room * 2 - 1;
	uint64_t hash = (key->high * 0x9e3779b97f4a7c15ull ^ key->low) * 0xbf58476d1ce4e5b9ull;
	uint32_t i = (uint32_t)(hash >> 32) & mask;

	while (numbering->table[i] &&
	       memcmp(&numbering->keys[numbering->table[i] - 1], key, sizeof(*key)))
		i = (i + 1) & mask;
	return &numbering->table[i];
}

static int grow(struct numbering *numbering)
{
	uint32_t room = numbering->room ? numbering->room * 2 : 64;
	struct key *keys = realloc(numbering->keys, room * sizeof(*keys));
	uint32_t *table = calloc(room * 2ul, sizeof(*table));

	if (keys)
		numbering->keys = keys;
	if (!keys || !table) {
		free(table);
		return -1;
	}
	free(numbering->table);
	numbering->table = table;
	numbering->room = room;
	for (uint32_t i = 0; i < numbering->count; i++)
		*find(numbering, &keys[i]) = i + 1;
	return 0;
}

/* Returns -1 if memory runs out. */
static int64_t number_of(struct numbering *numbering, struct key key)
{
	uint32_t *entry;

	if (numbering->count == numbering->room && grow(numbering) < 0)
		return -1;
	entry = find(numbering, &key);
	if (!*entry) {
		numbering->keys[numbering->count] = key;
		*entry = ++numbering->count;
	}
	return *entry - 1;
}

static void numbering_free(struct numbering *numbering)
{
	free(numbering->keys);
	free(numbering->table);
}

/* ---- order ------------------------------------------------------------------------ */

struct item {
	uint64_t time;
	uint32_t group;
	uint32_t row;
};

static unsigned digit_of(const struct item *item, unsigned digit)
{
	uint64_t value = digit < 8 ? item->time >> (8 * digit) : item->group >> (8 * digit - 64);

	return (unsigned)(value & 0xff);
}

/* Sorts by one byte, stably. Returns false if all have the same byte, without moving anything. */
static bool pass(const struct item *from, struct item *to, size_t count, unsigned digit)
{
	size_t places[257] = {0};

	for (size_t i = 0; i < count; i++)
		places[digit_of(&from[i], digit) + 1]++;
	for (unsigned value = 0; value < 256; value++) {
		if (places[value + 1] == count)
			return false;
		places[value + 1] += places[value];
	}
	for (size_t i = 0; i < count; i++)
		to[places[digit_of(&from[i], digit)]++] = from[i];
	return true;
}

/*
 * Sorts by group, then time: radix sort from the least significant byte on. `spare` is as large as
 * `items`.
 */
static struct item *sort(struct item *items, struct item *spare, size_t count)
{
	for (unsigned digit = 0; digit < 12; digit++) {
		struct item *other = items;

		if (!pass(items, spare, count, digit))
			continue;
		items = spare;
		spare = other;
	}
	return items;
}

/* ---- runs of equals ------------------------------------------------------------ */

static uint64_t rank(const struct item *sorted, size_t count, unsigned per_hundred)
{
	size_t place = (size_t)(((unsigned __int128)count * per_hundred + 99) / 100);

	return sorted[place - 1].time;
}

static void sum_up(const struct report *report, const struct item *sorted, size_t count,
		   struct group *group)
{
	*group = (struct group){
		.worst = &report->rows[sorted[count - 1].row],
		.count = count,
		.time = {rank(sorted, count, 50), rank(sorted, count, 90), rank(sorted, count, 99),
			 rank(sorted, count, 100)},
	};
	for (size_t i = 0; i < count; i++) {
		const struct report_row *row = &report->rows[sorted[i].row];

		group->total_ns += row->duration_ns;
		group->outcomes[row->outcome & 3]++;
		group->stalled += row->outcome == TLSTALL_OUTCOME_OK && (row->flags & ROW_TROUBLED);
	}
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_size(const void *a, const void *b)
{
	const struct group *one = a, *two = b;
	int order = compare_numbers(two->count, one->count);

	return order ? order : compare_numbers(two->total_ns, one->total_ns);
}

static int compare_retries(const void *a, const void *b)
{
	const struct group *one = a, *two = b;

	return compare_numbers(one->worst->retries, two->worst->retries);
}

/* `groups`: how many different ones are among the sorted items. */
static int cut(const struct report *report, const struct item *sorted, size_t count, size_t groups,
	       struct groups *out)
{
	size_t first = 0;

	out->list = calloc(groups + 1, sizeof(*out->list));
	if (!out->list)
		return -1;
	for (size_t i = 1; i <= count; i++) {
		if (i < count && sorted[first].group == sorted[i].group)
			continue;
		sum_up(report, sorted + first, i - first, &out->list[out->count++]);
		first = i;
	}
	return 0;
}

static int64_t number_rows(const struct report *report, enum grouping grouping,
			   struct numbering *numbering, struct item *items)
{
	int64_t count = 0;

	for (size_t i = 0; i < report->count; i++) {
		row_pointer row = &report->rows[i];
		int64_t number;

		if (!groupings[grouping].wanted(row))
			continue;
		number = number_of(numbering, groupings[grouping].key(row));
		if (number < 0)
			return -1;
		items[count++] = (struct item){row->duration_ns, (uint32_t)number, (uint32_t)i};
	}
	return count;
}

int groups_make(const struct report *report, enum grouping grouping, struct groups *out)
{
	struct item *items = malloc(2 * (report->count + 1) * sizeof(*items)), *sorted;
	struct numbering numbering = {0};
	int64_t count = items ? number_rows(report, grouping, &numbering, items) : -1;
	int result = -1;

	*out = (struct groups){0};
	if (count >= 0) {
		sorted = sort(items, items + report->count + 1, (size_t)count);
		result = cut(report, sorted, (size_t)count, numbering.count, out);
	}
	if (out->count)
		qsort(out->list, out->count, sizeof(*out->list),
		      grouping == GROUP_RETRIES ? compare_retries : compare_size);
	numbering_free(&numbering);
	free(items);
	return result;
}

void groups_free(struct groups *groups)
{
	free(groups->list);
	*groups = (struct groups){0};
}
