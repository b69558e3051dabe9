/* SPDX-License-Identifier: Apache-2.0 */
/* See text.h. */
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "diagnosis/diagnosis.h"
#include "report/figures.h"
#include "report/text.h"
#include "report/worst.h"
#include "view/words.h"

#define GROUPS_ON_TERMINAL 20

/* ---- tables -------------------------------------------------------------------- */

struct heading {
	const char *title;
	int flags; /* SCOLS_FL_* */
};

static struct libscols_table *table_new(const struct text_options *options, FILE *out,
					const struct heading *headings, size_t count)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		return NULL;
	scols_table_set_stream(table, out);
	scols_table_set_termforce(table,
				  options->terminal ? SCOLS_TERMFORCE_AUTO : SCOLS_TERMFORCE_NEVER);
	for (size_t i = 0; i < count; i++) {
		int flags = headings[i].flags;

		if (!options->terminal)
			flags &= ~SCOLS_FL_TRUNC;
		scols_table_new_column(table, headings[i].title, 0, flags);
	}
	return table;
}

__attribute__((format(printf, 3, 4))) static void cell(struct libscols_line *line, size_t column,
						       const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (line && text && scols_line_refer_data(line, column, text) == 0)
		return;
	free(text);
}

static void cell_time(struct libscols_line *line, size_t column, uint64_t ns)
{
	char text[WORD_SIZE];

	cell(line, column, "%s", word_duration(ns, text));
}

/* Four columns from `column` on. */
static void cells_percentiles(struct libscols_line *line, size_t column,
			      const struct percentiles *time)
{
	cell_time(line, column, time->p50);
	cell_time(line, column + 1, time->p90);
	cell_time(line, column + 2, time->p99);
	cell_time(line, column + 3, time->max);
}

static void print_table(struct libscols_table *table, const char *title, FILE *out)
{
	if (!table)
		return;
	fprintf(out, "\n%s\n", title);
	fflush(out);
	scols_print_table(table);
	scols_unref_table(table);
}

/* ---- summary -------------------------------------------------------------------- */

static void print_span(const struct report *report, FILE *out)
{
	uint64_t last, first = report_span(report, &last);
	time_t begin = (time_t)(first / 1000000000), end = (time_t)(last / 1000000000);
	char from[32], to[32];
	struct tm tm;

	strftime(from, sizeof(from), "%Y-%m-%d %H:%M:%S", localtime_r(&begin, &tm));
	strftime(to, sizeof(to), "%Y-%m-%d %H:%M:%S", localtime_r(&end, &tm));
	fprintf(out, ", %s to %s", from, to);
}

static void print_summary(const struct report *report, FILE *out)
{
	static const char *const words[] = {"in flight", "ok", "failed", "abandoned"};
	static const uint8_t order[] = {TLSTALL_OUTCOME_OK, TLSTALL_OUTCOME_FAILED,
					TLSTALL_OUTCOME_ABANDONED, TLSTALL_OUTCOME_IN_FLIGHT};
	size_t outcomes[4] = {0}, troubled = 0;

	for (size_t i = 0; i < report->count; i++) {
		outcomes[report->rows[i].outcome & 3]++;
		troubled += report->rows[i].flags & ROW_TROUBLED ? 1 : 0;
	}
	fprintf(out, "%zu handshake%s in %zu trace%s", report->count, report->count == 1 ? "" : "s",
		report->source_count, report->source_count == 1 ? "" : "s");
	if (report->count)
		print_span(report, out);
	for (size_t i = 0; i < sizeof(order); i++)
		fprintf(out, "%s%zu %s", i ? ", " : "\n", outcomes[order[i]], words[order[i]]);
	if (report->count)
		fprintf(out, "; %zu failed or stalled (%.2f %%)", troubled,
			100.0 * (double)troubled / (double)report->count);
	fputc('\n', out);
}

/* ---- groups --------------------------------------------------------------------- */

/* What people argue about, in one line. */
static void print_faults(const struct groups *groups, FILE *out)
{
	size_t counts[FAULT_UNKNOWN + 1] = {0};
	uint64_t times[FAULT_UNKNOWN + 1] = {0};
	char text[WORD_SIZE];
	const char *separator = "Whose fault: ";

	for (size_t i = 0; i < groups->count; i++) {
		counts[groups->list[i].worst->fault] += groups->list[i].count;
		times[groups->list[i].worst->fault] += groups->list[i].total_ns;
	}
	for (;;) {
		size_t most = 0;

		for (size_t fault = 0; fault <= FAULT_UNKNOWN; fault++)
			most = counts[fault] > counts[most] ? fault : most;
		if (!counts[most])
			break;
		fprintf(out, "%s%s %zu (%s)", separator, fault_name((enum fault)most), counts[most],
			word_duration(times[most], text));
		counts[most] = 0;
		separator = ", ";
	}
	if (groups->count)
		fputc('\n', out);
}

static void trouble_line(const struct report *report, const struct group *group,
			 struct libscols_line *line)
{
	const struct report_row *row = group->worst;
	const char *peer = strings_text(&report->strings, row->peer);
	const char *path = strings_text(&report->strings, row->path);

	cell(line, 0, "%zu", group->count);
	cell(line, 1, "%s", fault_name(row->fault));
	cell(line, 2, "%s", cause_name(row->cause));
	cell(line, 3, "%s", *peer ? peer : "-");
	cell(line, 4, "%s", *path ? path : "-");
	cells_percentiles(line, 5, &group->time);
}

static void print_trouble(const struct report *report, const struct groups *groups,
			  const struct text_options *options, FILE *out)
{
	static const struct heading headings[] = {{"COUNT", SCOLS_FL_RIGHT},
						  {"FAULT", 0},
						  {"CAUSE", 0},
						  {"PEER", SCOLS_FL_TRUNC},
						  {"CODE", SCOLS_FL_TRUNC},
						  {"P50", SCOLS_FL_RIGHT},
						  {"P90", SCOLS_FL_RIGHT},
						  {"P99", SCOLS_FL_RIGHT},
						  {"MAX", SCOLS_FL_RIGHT}};
	bool cut = options->terminal && groups->count > GROUPS_ON_TERMINAL;
	size_t shown = cut ? GROUPS_ON_TERMINAL : groups->count;
	struct libscols_table *table;

	if (!groups->count)
		return;
	table = table_new(options, out, headings, 9);
	for (size_t i = 0; table && i < shown; i++)
		trouble_line(report, &groups->list[i], scols_table_new_line(table, NULL));
	print_table(table, "What failed or stalled", out);
	if (cut)
		fprintf(out, "... and %zu more groups\n", groups->count - shown);
}

static int print_times(const struct report *report, FILE *out)
{
	char p50[WORD_SIZE], p90[WORD_SIZE], p99[WORD_SIZE], max[WORD_SIZE];
	struct groups groups;

	if (groups_make(report, GROUP_ALL_OK, &groups) < 0)
		return -1;
	if (groups.count) {
		const struct percentiles *time = &groups.list[0].time;

		fprintf(out, "\nTime of the %zu that are ok: p50 %s, p90 %s, p99 %s, max %s\n",
			groups.list[0].count, word_duration(time->p50, p50),
			word_duration(time->p90, p90), word_duration(time->p99, p99),
			word_duration(time->max, max));
	}
	groups_free(&groups);
	return 0;
}

static void session_line(const struct report *report, const struct group *group,
			 struct libscols_line *line)
{
	const struct report_row *row = group->worst;
	const char *cipher = strings_text(&report->strings, row->cipher);
	char version[WORD_SIZE];

	cell(line, 0, "%s", row->version ? word_version(row->version, version) : "-");
	cell(line, 1, "%s", *cipher ? cipher : "-");
	cell(line, 2, "%s", row->flags & ROW_RESUMED ? "yes" : "no");
	cell(line, 3, "%zu", group->count);
	cell(line, 4, "%zu", group->outcomes[TLSTALL_OUTCOME_OK] - group->stalled);
	cell(line, 5, "%zu", group->stalled);
	cell(line, 6, "%zu", group->outcomes[TLSTALL_OUTCOME_FAILED]);
	cell(line, 7, "%zu", group->outcomes[TLSTALL_OUTCOME_ABANDONED]);
	cell(line, 8, "%zu", group->outcomes[TLSTALL_OUTCOME_IN_FLIGHT]);
	cells_percentiles(line, 9, &group->time);
}

static int print_sessions(const struct report *report, const struct text_options *options,
			  FILE *out)
{
	static const struct heading headings[] = {{"VERSION", 0},
						  {"CIPHER", SCOLS_FL_TRUNC},
						  {"RESUMED", 0},
						  {"COUNT", SCOLS_FL_RIGHT},
						  {"OK", SCOLS_FL_RIGHT},
						  {"STALLED", SCOLS_FL_RIGHT},
						  {"FAILED", SCOLS_FL_RIGHT},
						  {"ABANDONED", SCOLS_FL_RIGHT},
						  {"IN FLIGHT", SCOLS_FL_RIGHT},
						  {"P50", SCOLS_FL_RIGHT},
						  {"P90", SCOLS_FL_RIGHT},
						  {"P99", SCOLS_FL_RIGHT},
						  {"MAX", SCOLS_FL_RIGHT}};
	struct libscols_table *table = NULL;
	struct groups groups;

	if (groups_make(report, GROUP_SESSION, &groups) < 0)
		return -1;
	if (groups.count)
		table = table_new(options, out, headings, 13);
	for (size_t i = 0; table && i < groups.count; i++)
		session_line(report, &groups.list[i], scols_table_new_line(table, NULL));
	print_table(table, "Outcome by version, cipher and resumption", out);
	groups_free(&groups);
	return 0;
}

static void retries_text(uint32_t retries, char text[WORD_SIZE])
{
	uint32_t first, last;

	retries_range(retries_bucket(retries), &first, &last);
	if (first == last)
		snprintf(text, WORD_SIZE, "%u", first);
	else
		snprintf(text, WORD_SIZE, "%u-%u", first, last);
}

static int print_retries(const struct report *report, const struct text_options *options, FILE *out)
{
	static const struct heading headings[] = {
		{"RETRIES", SCOLS_FL_RIGHT}, {"COUNT", SCOLS_FL_RIGHT}, {"SHARE", SCOLS_FL_RIGHT},
		{"OK", SCOLS_FL_RIGHT},	     {"P50", SCOLS_FL_RIGHT},	{"P90", SCOLS_FL_RIGHT},
		{"P99", SCOLS_FL_RIGHT},     {"MAX", SCOLS_FL_RIGHT}};
	struct libscols_table *table = NULL;
	struct groups groups;

	if (groups_make(report, GROUP_RETRIES, &groups) < 0)
		return -1;
	if (groups.count)
		table = table_new(options, out, headings, 8);
	for (size_t i = 0; table && i < groups.count; i++) {
		const struct group *group = &groups.list[i];
		struct libscols_line *line = scols_table_new_line(table, NULL);
		char range[WORD_SIZE];

		retries_text(group->worst->retries, range);
		cell(line, 0, "%s", range);
		cell(line, 1, "%zu", group->count);
		cell(line, 2, "%.2f %%", 100.0 * (double)group->count / (double)report->count);
		cell(line, 3, "%zu", group->outcomes[TLSTALL_OUTCOME_OK]);
		cells_percentiles(line, 4, &group->time);
	}
	print_table(table, "Retries", out);
	groups_free(&groups);
	return 0;
}

int text_write(const struct report *report, const struct text_options *options, FILE *out)
{
	struct groups trouble;
	int result;

	if (groups_make(report, GROUP_TROUBLE, &trouble) < 0)
		return -1;
	print_summary(report, out);
	print_faults(&trouble, out);
	for (uint32_t i = 1; i < report->notes.count; i++)
		fprintf(out, "note: %s\n", strings_text(&report->notes, i));
	print_trouble(report, &trouble, options, out);
	result = print_times(report, out);
	result |= print_sessions(report, options, out);
	result |= print_retries(report, options, out);
	worst_write(report, &trouble, options, out);
	groups_free(&trouble);
	return result;
}
