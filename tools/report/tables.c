/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "diagnosis/diagnosis.h"
#include "report/figures.h"
#include "report/tables.h"
#include "report/worst.h"
#include "text/print.h"
#include "text/table.h"
#include "words/words.h"

#define GROUPS_ON_TERMINAL 20

/* ---- tables -------------------------------------------------------------------- */

static void cell_time(struct table *table, size_t column, uint64_t ns)
{
	char text[WORD_SIZE];

	table_cell(table, column, "%s", word_duration(ns, text));
}

/* Fills four columns from `column` on. */
static void cells_percentiles(struct table *table, size_t column, const struct percentiles *time)
{
	cell_time(table, column, time->p50);
	cell_time(table, column + 1, time->p90);
	cell_time(table, column + 2, time->p99);
	cell_time(table, column + 3, time->max);
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
	print(out, ", %s to %s", from, to);
}

/* Comes first, since no figure below includes lost records. */
static void print_lost(const struct report *report, FILE *out)
{
	const struct report_lost *lost = &report->lost;

	if (lost->handshakes)
		print(out, "; %llu more overwritten", (unsigned long long)lost->handshakes);
	if (lost->crowded)
		print(out, "; %llu began when there was no room",
		      (unsigned long long)lost->crowded);
	if (lost->details)
		print(out, "; only the end of %llu handshake%s is kept",
		      (unsigned long long)lost->details, word_s(lost->details));
}

static void print_summary(const struct report *report, FILE *out)
{
	static const char *const words[] = {"in flight", "ok", "failed", "abandoned"};
	static const uint8_t order[] = {TLSTALL_OUTCOME_OK, TLSTALL_OUTCOME_FAILED,
					TLSTALL_OUTCOME_ABANDONED, TLSTALL_OUTCOME_IN_FLIGHT};
	size_t outcomes[4] = {0}, troubled = 0;
	char size[WORD_SIZE];

	for (size_t i = 0; i < report->count; i++) {
		outcomes[report->rows[i].outcome & 3]++;
		troubled += report->rows[i].flags & ROW_TROUBLED ? 1 : 0;
	}
	print(out, "%zu handshake%s in %zu trace%s (%s)", report->count, word_s(report->count),
	      report->source_count, word_s(report->source_count), word_size(report->bytes, size));
	if (report->count)
		print_span(report, out);
	print_lost(report, out);
	for (size_t i = 0; i < sizeof(order); i++)
		print(out, i ? ", %zu %s" : "\n%zu %s", outcomes[order[i]], words[order[i]]);
	if (report->count)
		print(out, "; %zu failed or stalled (%.2f %%)", troubled,
		      100.0 * (double)troubled / (double)report->count);
	fputc('\n', out);
}

/* ---- groups --------------------------------------------------------------------- */

struct blame {
	size_t count;
	uint64_t ns;
	size_t high; /* of them with high confidence; the others have medium */
};

static void print_blame(enum fault fault, const struct blame *blame, bool low, FILE *out)
{
	char text[WORD_SIZE];

	print(out, "%s %zu (%s", fault_name(fault), blame->count, word_duration(blame->ns, text));
	low |= fault == FAULT_UNKNOWN;
	if (!low && blame->high == blame->count)
		print(out, ", high confidence");
	else if (!low && blame->high)
		print(out, ", %zu with high confidence", blame->high);
	else if (!low)
		print(out, ", medium confidence");
	print(out, ")");
}

/*
 * Causes by whose fault they are, most frequent first. Those with low confidence are listed apart.
 */
static void print_blames(struct blame blames[FAULT_UNKNOWN + 1], bool low, FILE *out)
{
	const char *separator = low ? "With low confidence: " : "Whose fault: ";
	bool any = false;

	for (;; any = true) {
		size_t most = 0;

		for (size_t fault = 0; fault <= FAULT_UNKNOWN; fault++)
			most = blames[fault].count > blames[most].count ? fault : most;
		if (!blames[most].count)
			break;
		print(out, "%s", separator);
		print_blame((enum fault)most, &blames[most], low, out);
		blames[most].count = 0;
		separator = ", ";
	}
	if (any)
		putc('\n', out);
}

static void print_faults(const struct report *report, FILE *out)
{
	struct blame blames[2][FAULT_UNKNOWN + 1] = {0};

	for (size_t i = 0; i < report->count; i++) {
		const struct report_row *row = &report->rows[i];
		bool low = row->confidence == CONFIDENCE_LOW && row->fault != FAULT_UNKNOWN;
		struct blame *blame = &blames[low][row->fault];

		if (!(row->flags & ROW_TROUBLED))
			continue;
		blame->count++;
		blame->ns += row->duration_ns;
		blame->high += row->confidence == CONFIDENCE_HIGH;
	}
	print_blames(blames[0], false, out);
	print_blames(blames[1], true, out);
}

static void trouble_line(const struct report *report, const struct group *group,
			 struct table *table)
{
	const struct report_row *row = group->worst;
	const char *peer = strings_text(&report->strings, row->peer);
	const char *path = strings_text(&report->strings, row->path);

	table_line(table);
	table_cell(table, 0, "%zu", group->count);
	table_cell(table, 1, "%s", fault_name(row->fault));
	table_cell(table, 2, "%s", cause_name(row->cause));
	table_cell(table, 3, "%s", *peer ? peer : "-");
	table_cell(table, 4, "%s", *path ? path : "-");
	cells_percentiles(table, 5, &group->time);
}

static int print_trouble(const struct report *report, const struct groups *groups,
			 const struct text_options *options, FILE *out)
{
	static const struct table_column columns[] = {{"COUNT", SCOLS_FL_RIGHT},
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
	struct table table;
	int result;

	table_open(&table, out, options->terminal, columns, 9);
	for (size_t i = 0; i < shown; i++)
		trouble_line(report, &groups->list[i], &table);
	result = table_close(&table, "What failed or stalled");
	if (cut)
		print(out, "... and %zu more group%s\n", groups->count - shown,
		      word_s(groups->count - shown));
	return result;
}

static int print_times(const struct report *report, FILE *out)
{
	char p50[WORD_SIZE], p90[WORD_SIZE], p99[WORD_SIZE], max[WORD_SIZE];
	struct groups groups;

	if (groups_make(report, GROUP_ALL_OK, &groups) < 0)
		return -1;
	if (groups.count) {
		const struct percentiles *time = &groups.list[0].time;

		print(out,
		      "\nDuration of the %zu successful handshake%s: p50 %s, p90 %s, p99 %s, max %s\n",
		      groups.list[0].count, word_s(groups.list[0].count), word_duration(time->p50, p50),
		      word_duration(time->p90, p90), word_duration(time->p99, p99),
		      word_duration(time->max, max));
	}
	groups_free(&groups);
	return 0;
}

static void session_line(const struct report *report, const struct group *group,
			 struct table *table)
{
	const struct report_row *row = group->worst;
	const char *cipher = strings_text(&report->strings, row->cipher);
	char version[WORD_SIZE];

	table_line(table);
	table_cell(table, 0, "%s", row->version ? word_version(row->version, version) : "-");
	table_cell(table, 1, "%s", *cipher ? cipher : "-");
	table_cell(table, 2, "%s", row->flags & ROW_RESUMED ? "yes" : "no");
	table_cell(table, 3, "%zu", group->count);
	table_cell(table, 4, "%zu", group->outcomes[TLSTALL_OUTCOME_OK] - group->stalled);
	table_cell(table, 5, "%zu", group->stalled);
	table_cell(table, 6, "%zu", group->outcomes[TLSTALL_OUTCOME_FAILED]);
	table_cell(table, 7, "%zu", group->outcomes[TLSTALL_OUTCOME_ABANDONED]);
	table_cell(table, 8, "%zu", group->outcomes[TLSTALL_OUTCOME_IN_FLIGHT]);
	cells_percentiles(table, 9, &group->time);
}

static int print_sessions(const struct report *report, const struct text_options *options,
			  FILE *out)
{
	static const struct table_column columns[] = {{"VERSION", 0},
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
	struct groups groups;
	struct table table;

	if (groups_make(report, GROUP_SESSION, &groups) < 0)
		return -1;
	table_open(&table, out, options->terminal, columns, 13);
	for (size_t i = 0; i < groups.count; i++)
		session_line(report, &groups.list[i], &table);
	groups_free(&groups);
	return table_close(&table, "Outcome by version, cipher and resumption");
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

static void retries_line(const struct report *report, const struct group *group,
			 struct table *table)
{
	char range[WORD_SIZE];

	retries_text(group->worst->retries, range);
	table_line(table);
	table_cell(table, 0, "%s", range);
	table_cell(table, 1, "%zu", group->count);
	table_cell(table, 2, "%.2f %%", 100.0 * (double)group->count / (double)report->count);
	table_cell(table, 3, "%zu", group->outcomes[TLSTALL_OUTCOME_OK]);
	cells_percentiles(table, 4, &group->time);
}

static int print_retries(const struct report *report, const struct text_options *options, FILE *out)
{
	static const struct table_column columns[] = {
		{"RETRIES", SCOLS_FL_RIGHT}, {"COUNT", SCOLS_FL_RIGHT}, {"SHARE", SCOLS_FL_RIGHT},
		{"OK", SCOLS_FL_RIGHT},	     {"P50", SCOLS_FL_RIGHT},	{"P90", SCOLS_FL_RIGHT},
		{"P99", SCOLS_FL_RIGHT},     {"MAX", SCOLS_FL_RIGHT}};
	struct groups groups;
	struct table table;

	if (groups_make(report, GROUP_RETRIES, &groups) < 0)
		return -1;
	table_open(&table, out, options->terminal, columns, 8);
	for (size_t i = 0; i < groups.count; i++)
		retries_line(report, &groups.list[i], &table);
	groups_free(&groups);
	return table_close(&table, "Retries");
}

int text_write(const struct report *report, const struct text_options *options, FILE *out)
{
	struct groups trouble;
	int result;

	if (groups_make(report, GROUP_TROUBLE, &trouble) < 0) {
		errno = ENOMEM;
		return -1;
	}
	print_summary(report, out);
	print_faults(report, out);
	for (uint32_t i = 1; i < report->notes.count; i++)
		print(out, "note: %s\n", strings_text(&report->notes, i));
	result = print_trouble(report, &trouble, options, out);
	result |= print_times(report, out);
	result |= print_sessions(report, options, out);
	result |= print_retries(report, options, out);
	result |= worst_write(report, &trouble, options, out);
	groups_free(&trouble);
	if (result < 0 || report->notes.failed)
		errno = ENOMEM;
	return result < 0 || report->notes.failed ? -1 : 0;
}
