/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "live/fields.h"
#include "top/top.h"

static struct top_key key_of(const struct subject *subject)
{
	return (struct top_key){subject->pid_here, subject->h.start, subject->h.number};
}

static bool is_same(const struct top_key *a, const struct top_key *b)
{
	return a->pid == b->pid && a->start_ticks == b->start_ticks && a->number == b->number;
}

/* The filter's words are searched for in what the row shows. */
static bool matches(const struct top *top, const struct subject *subject)
{
	char text[FIELD_SIZE];

	if (!top->filter[0])
		return true;
	for (unsigned i = 0; i < live_field_count; i++) {
		live_fields[i].text(subject, text);
		if (strcasestr(text, top->filter))
			return true;
	}
	return false;
}

static int compare(const void *a, const void *b, void *context)
{
	const struct top *top = context;
	const struct subject *x = *(struct subject *const *)a, *y = *(struct subject *const *)b;
	int order = live_fields[top->sort].compare(x, y);

	if (!order)
		order = (y->facts.age_ns > x->facts.age_ns) - (y->facts.age_ns < x->facts.age_ns);
	return top->reverse ? -order : order;
}

static void move_cursor(struct top *top, int rows)
{
	unsigned count = top->shown_count, page = top_page();
	long cursor = (long)top->cursor + rows;

	if (cursor >= (long)count)
		cursor = (long)count - 1;
	top->cursor = cursor < 0 ? 0 : (unsigned)cursor;
	if (top->cursor < top->first)
		top->first = top->cursor;
	if (top->cursor >= top->first + page)
		top->first = top->cursor - page + 1;
	if (count)
		top->selected = key_of(top->shown[top->cursor]);
}

/* The cursor stays on its handshake, or if that is gone, on its row. */
static void follow_selection(struct top *top)
{
	for (unsigned i = 0; i < top->shown_count; i++) {
		struct top_key key = key_of(top->shown[i]);

		if (is_same(&key, &top->selected))
			top->cursor = i;
	}
	move_cursor(top, 0);
}

void top_arrange(struct top *top)
{
	struct live *live = &top->live;
	struct subject **shown = calloc(live->subject_count + 1, sizeof(*shown));

	free(top->shown);
	top->shown = shown;
	top->shown_count = 0;
	for (unsigned i = 0; shown && i < live->subject_count; i++) {
		if (matches(top, live->subjects[i]))
			shown[top->shown_count++] = live->subjects[i];
	}
	if (shown)
		qsort_r(shown, top->shown_count, sizeof(*shown), compare, top);
	follow_selection(top);
}

/* ---- one of them ------------------------------------------------------------------- */

static struct subject *find(const struct top *top, const struct top_key *key)
{
	for (unsigned i = 0; i < top->live.subject_count; i++) {
		struct top_key here = key_of(top->live.subjects[i]);

		if (is_same(&here, key))
			return top->live.subjects[i];
	}
	return NULL;
}

void top_open(struct top *top)
{
	struct top_detail *detail = &top->detail;

	if (!top->shown_count)
		return;
	detail->key = top->selected;
	detail->first = 0;
	top->view = TOP_DETAIL;
	top_detail_update(detail, find(top, &detail->key));
}

/* ---- all of them ------------------------------------------------------------------- */

static unsigned process_count(const struct top *top)
{
	unsigned count = 0;

	for (unsigned i = 0; i < top->live.file_count; i++)
		count += top->live.files[i]->shown;
	return count;
}

/* The line at the top of the screen: not so far that there is room below the last one. */
static unsigned scrolled(unsigned first, int rows, unsigned lines)
{
	long last = (long)lines - (long)top_page(), wanted = (long)first + rows;

	wanted = wanted > last ? last : wanted;
	return wanted < 0 ? 0 : (unsigned)wanted;
}

void top_go(struct top *top, int rows)
{
	struct top_detail *detail = &top->detail;

	if (top->view == TOP_DETAIL)
		detail->first = scrolled(detail->first, rows, detail->lines);
	else if (top->view == TOP_PROCESSES)
		top->first_process = scrolled(top->first_process, rows, process_count(top));
	else
		move_cursor(top, rows);
}

int top_refresh(struct top *top)
{
	if (live_refresh(&top->live))
		return -1;
	top_arrange(top);
	if (top->view == TOP_DETAIL)
		top_detail_update(&top->detail, find(top, &top->detail.key));
	top_go(top, 0);
	return 0;
}

void top_free(struct top *top)
{
	top_detail_free(&top->detail);
	free(top->shown);
	live_close(&top->live);
}
