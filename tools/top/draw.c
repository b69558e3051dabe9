/* SPDX-License-Identifier: Apache-2.0 */
#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "live/fields.h"
#include "text/screen.h"
#include "top/top.h"

#define HEAD 3 /* lines above the rows, including the column names */
#define FOOT 1
#define WIDE 120

/* Color pairs; 0 is the terminal's default. */
enum { PLAIN, ALARM, CALM };

unsigned top_page(void)
{
	return LINES > HEAD + FOOT + 1 ? (unsigned)(LINES - HEAD - FOOT) : 1;
}

/* ---- head and foot ----------------------------------------------------------------- */

static unsigned count_alive(const struct live *live)
{
	unsigned count = 0;

	for (unsigned i = 0; i < live->file_count; i++)
		count += live->files[i]->alive;
	return count;
}

static struct live_tally sum(const struct live *live)
{
	struct live_tally all = {0};

	for (unsigned i = 0; i < live->file_count; i++) {
		const struct live_tally *one = &live->files[i]->tally;

		all.recent_ok += one->recent_ok;
		all.recent_failed += one->recent_failed;
		all.recent_abandoned += one->recent_abandoned;
	}
	return all;
}

static unsigned count_stalled(const struct live *live)
{
	unsigned count = 0;

	for (unsigned i = 0; i < live->subject_count; i++)
		count += subject_is_bad(live->subjects[i]);
	return count;
}

static double rate(unsigned count)
{
	return (double)count / LIVE_RECENT_S;
}

static void draw_head(const struct top *top)
{
	const struct live_tally ended = sum(&top->live);
	time_t now = time(NULL);
	char clock[16];
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	attron(A_BOLD);
	screen_line(0, "tlstall top %s  %u traced, %u in flight, %u stalled%s", clock,
		    count_alive(&top->live), top->live.subject_count, count_stalled(&top->live),
		    top->paused ? "  (paused)" : "");
	attroff(A_BOLD);
	if (top->live.problem[0])
		screen_line(1, "%s", top->live.problem);
	else
		screen_line(1, "ended: %.1f/s ok, %.1f/s failed, %.1f/s abandoned   by %s%s%s%s",
			    rate(ended.recent_ok), rate(ended.recent_failed),
			    rate(ended.recent_abandoned), live_fields[top->sort].name,
			    top->reverse ? " (reverse)" : "", top->filter[0] ? "   only: " : "",
			    top->filter);
}

static void draw_foot(const struct top *top)
{
	static const char list_keys[] =
		"q:quit Enter:details s:sort r:reverse /:filter d:dead p:processes space:pause";
	static const char *const keys[] = {
		[TOP_HANDSHAKES] = list_keys,
		[TOP_PROCESSES] = "q:quit p:handshakes Esc:back Up/Down:scroll space:pause",
		[TOP_DETAIL] = "q:quit Esc:back Up/Down:scroll space:pause",
	};

	attron(A_REVERSE);
	move(LINES - 1, 0);
	clrtoeol();
	if (top->typing)
		screen_line(LINES - 1, "filter: %s_  (Enter keeps it, Esc clears it)", top->filter);
	else
		screen_line(LINES - 1, "%s", keys[top->view]);
	attroff(A_REVERSE);
}

/* ---- handshakes ---------------------------------------------------------------------- */

/* Counts only rows on the screen. */
static int longest(const struct top *top, const struct field *field)
{
	size_t length = 0;
	char text[FIELD_SIZE];

	for (unsigned i = 0; i < top_page() && top->first + i < top->shown_count; i++) {
		field->text(top->shown[top->first + i], text);
		if (strlen(text) > length)
			length = strlen(text);
	}
	return (int)length;
}

#define HIDDEN (-1)

static int width_of(const struct top *top, const struct field *field)
{
	int width = COLS >= WIDE ? field->wide : field->width;
	int needed = field->whole ? longest(top, field) : 0;

	if (COLS < field->screen)
		return HIDDEN;
	return needed > width ? needed : width;
}

static int *widest_that_gives(int widths[LIVE_FIELDS_MAX])
{
	int *widest = NULL;

	for (unsigned i = 0; i < live_field_count; i++) {
		if (!live_fields[i].whole && widths[i] > 0 && (!widest || widths[i] > *widest))
			widest = &widths[i];
	}
	return widest;
}

static void lay_out(const struct top *top, int widths[LIVE_FIELDS_MAX])
{
	int rest = COLS + 1, *gives;

	for (unsigned i = 0; i < live_field_count; i++) {
		widths[i] = width_of(top, &live_fields[i]);
		rest -= widths[i] + 1;
	}
	for (; rest < 0 && (gives = widest_that_gives(widths)); rest++)
		--*gives;
	for (unsigned i = 0; i < live_field_count; i++) {
		if (!live_fields[i].width)
			widths[i] = rest;
	}
}

/* OpenSSL's state names begin alike, so the end must fit. */
static const char *tail_of_state(const char *text)
{
	static const char common[] = "SSLv3/TLS ";

	return strncmp(text, common, strlen(common)) ? text : text + strlen(common);
}

static void draw_cell(int row, int *column, const struct field *field, int width, const char *text)
{
	if (width == HIDDEN)
		return;
	if (*column + width > COLS)
		width = COLS - *column;
	if (width > 0)
		screen_text(row, *column, width, field->right, text);
	*column += width + 1;
}

static void draw_names(const int widths[LIVE_FIELDS_MAX])
{
	int column = 0;

	attron(A_REVERSE);
	mvhline(HEAD - 1, 0, ' ', COLS);
	for (unsigned i = 0; i < live_field_count; i++)
		draw_cell(HEAD - 1, &column, &live_fields[i], widths[i], live_fields[i].name);
	attroff(A_REVERSE);
}

static int row_style(const struct top *top, unsigned index)
{
	const struct subject *subject = top->shown[index];
	int style = subject_is_bad(subject) ? (int)(A_BOLD | COLOR_PAIR(ALARM)) : 0;

	return index == top->cursor ? style | (int)A_REVERSE : style;
}

static void draw_handshakes(const struct top *top)
{
	int widths[LIVE_FIELDS_MAX];
	char text[FIELD_SIZE];

	lay_out(top, widths);
	draw_names(widths);
	for (unsigned i = 0; i < top_page() && top->first + i < top->shown_count; i++) {
		int style = row_style(top, top->first + i), column = 0, row = HEAD + (int)i;

		attron(style);
		mvhline(row, 0, ' ', COLS);
		for (unsigned f = 0; f < live_field_count; f++) {
			live_fields[f].text(top->shown[top->first + i], text);
			draw_cell(row, &column, &live_fields[f], widths[f], tail_of_state(text));
		}
		attroff(style);
	}
	if (!top->shown_count)
		screen_line(HEAD + 1, "%s",
			    top->live.subject_count ? "No handshake in flight matches the filter."
			    : count_alive(&top->live)
				    ? "No handshake is in flight."
				    : "No process is traced: start one with `tlstall run`.");
}

/* ---- processes ------------------------------------------------------------------------ */

static int most_failing_first(const void *a, const void *b)
{
	const struct live_tally *x = &(*(struct live_file *const *)a)->tally;
	const struct live_tally *y = &(*(struct live_file *const *)b)->tally;
	unsigned bad = x->recent_failed + x->recent_abandoned;
	unsigned other = y->recent_failed + y->recent_abandoned;

	if (bad != other)
		return bad > other ? -1 : 1;
	return x->recent_ok > y->recent_ok ? -1 : x->recent_ok < y->recent_ok;
}

#define COMMAND 15 /* columns, for as many bytes as a process's name may have */

/* Ids are wider in containers. */
static void draw_process_cells(int row, const char *pid, const char *comm, const char *figures)
{
	int width = strlen(pid) > 7 ? (int)strlen(pid) : 7;

	screen_text(row, 0, width, true, pid);
	screen_text(row, width + 1, COMMAND, false, comm);
	screen_text(row, width + 1 + COMMAND, COLS - width - 1 - COMMAND, false, figures);
}

static void draw_process(int row, const struct live_file *file)
{
	const struct live_tally *tally = &file->tally;
	char figures[160];

	snprintf(figures, sizeof(figures), " %8u %8.1f %8.1f %8.1f %6u %6u %6u", tally->in_flight,
		 rate(tally->recent_ok), rate(tally->recent_failed), rate(tally->recent_abandoned),
		 tally->ok, tally->failed, tally->abandoned);
	draw_process_cells(row, file->pid, file->comm, figures);
}

static void draw_processes(struct top *top)
{
	unsigned first = top->first_process, last = first + top_page(), place = 0;
	struct live *live = &top->live;

	attron(A_REVERSE);
	mvhline(HEAD - 1, 0, ' ', COLS);
	draw_process_cells(HEAD - 1, "PID", "COMMAND",
			   " INFLIGHT     OK/s FAILED/s ABAND./s     OK FAILED ABAND.");
	attroff(A_REVERSE);
	if (live->file_count)
		qsort(live->files, live->file_count, sizeof(*live->files), most_failing_first);
	for (unsigned i = 0; i < live->file_count; i++) {
		if (!live->files[i]->shown)
			continue;
		if (place >= first && place < last)
			draw_process(HEAD + (int)(place - first), live->files[i]);
		place++;
	}
}

/* ---- detail ----------------------------------------------------------------------------- */

static const char *next_line(const char *text)
{
	const char *end = strchr(text, '\n');

	return end ? end + 1 : text + strlen(text);
}

static void draw_detail(const struct top *top)
{
	const struct top_detail *detail = &top->detail;
	const char *at = detail->text ? detail->text : "";

	for (unsigned i = 0; i < detail->first; i++)
		at = next_line(at);
	mvhline(HEAD - 1, 0, ACS_HLINE, COLS);
	if (detail->ended)
		screen_line(HEAD - 1, " It has ended; this is its last known state. ");
	for (unsigned i = 0; i < top_page() && *at; i++) {
		const char *next = next_line(at);

		move(HEAD + (int)i, 0);
		if (i + detail->first == 0)
			attron(A_BOLD | COLOR_PAIR(ALARM));
		screen_line(HEAD + (int)i, "%.*s",
			    (int)(next - at - (next > at && next[-1] == '\n')), at);
		attroff(A_BOLD | COLOR_PAIR(ALARM));
		at = next;
	}
}

void top_draw(struct top *top)
{
	erase();
	draw_head(top);
	switch (top->view) {
	case TOP_HANDSHAKES:
		draw_handshakes(top);
		break;
	case TOP_PROCESSES:
		draw_processes(top);
		break;
	case TOP_DETAIL:
		draw_detail(top);
		break;
	}
	draw_foot(top);
	refresh();
}
