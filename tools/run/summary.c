/* SPDX-License-Identifier: Apache-2.0 */
#include "run/summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "text/print.h"
#include "text/table.h"
#include "words/words.h"

static struct summary_row *row_of(struct summary *summary, const char *function)
{
	for (unsigned i = 0; i < summary->count; i++)
		if (!strcmp(summary->rows[i].name, function))
			return &summary->rows[i];
	if (summary->count == SUMMARY_FUNCTIONS)
		return NULL;
	strncpy(summary->rows[summary->count].name, function, sizeof(summary->rows[0].name) - 1);
	return &summary->rows[summary->count++];
}

void summary_call(struct summary *summary, const char *function, uint8_t error, bool timed,
		  uint64_t duration_ns)
{
	struct summary_row *row = row_of(summary, function);

	if (!row)
		return;
	row->calls++;
	row->timed += timed;
	row->ns += duration_ns;
	if (duration_ns > row->longest_ns)
		row->longest_ns = duration_ns;
	row->errors[error < SUMMARY_ERRORS ? error : SUMMARY_ERRORS - 1]++;
}

void summary_handshake(struct summary *summary, const struct subject *subject)
{
	uint64_t ns = subject->facts.age_ns;

	summary->outcomes[subject->h.outcome & 3]++;
	summary->causes[subject->verdicts[0].cause]++;
	if (subject->h.outcome != TLSTALL_OUTCOME_OK)
		return;
	summary->ok_ns += ns;
	if (ns > summary->longest_ok_ns)
		summary->longest_ok_ns = ns;
}

/* ---- print ------------------------------------------------------------------- */

/* For instance "12 WANT_READ, 1 SSL". */
static void errors_text(const struct summary_row *row, char *text, size_t size)
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 1; i < SUMMARY_ERRORS && length < size; i++) {
		if (!row->errors[i])
			continue;
		length += (size_t)snprintf(text + length, size - length, "%s%" PRIu64 " %s",
					   length ? ", " : "", row->errors[i],
					   word_error_short((uint8_t)i));
	}
}

enum { COLUMN_CALLS, COLUMN_TOTAL, COLUMN_MEAN, COLUMN_LONGEST, COLUMN_FUNCTION, COLUMN_ERRORS };

static void add_times(struct table *table, const struct summary_row *row)
{
	const uint64_t times[] = {
		[COLUMN_TOTAL] = row->ns,
		[COLUMN_MEAN] = row->timed ? row->ns / row->timed : 0,
		[COLUMN_LONGEST] = row->longest_ns,
	};
	char buffer[WORD_SIZE];

	for (unsigned i = COLUMN_TOTAL; i <= COLUMN_LONGEST; i++)
		table_cell(table, i, "%s", row->timed ? word_duration(times[i], buffer) : "-");
}

static void add_row(struct table *table, const struct summary_row *row)
{
	char text[256];

	table_line(table);
	table_cell(table, COLUMN_CALLS, "%" PRIu64, row->calls);
	add_times(table, row);
	table_cell(table, COLUMN_FUNCTION, "%s", row->name);
	errors_text(row, text, sizeof(text));
	table_cell(table, COLUMN_ERRORS, "%s", text);
}

static int print_calls(const struct summary *summary, FILE *out)
{
	static const struct table_column columns[] = {
		[COLUMN_CALLS] = {"CALLS", SCOLS_FL_RIGHT},
		[COLUMN_TOTAL] = {"TOTAL", SCOLS_FL_RIGHT},
		[COLUMN_MEAN] = {"MEAN", SCOLS_FL_RIGHT},
		[COLUMN_LONGEST] = {"LONGEST", SCOLS_FL_RIGHT},
		[COLUMN_FUNCTION] = {"FUNCTION", 0},
		[COLUMN_ERRORS] = {"ERRORS", 0},
	};
	struct table table;

	table_open(&table, out, false, columns, sizeof(columns) / sizeof(columns[0]));
	for (unsigned i = 0; i < summary->count; i++)
		add_row(&table, &summary->rows[i]);
	return table_close(&table, NULL);
}

static void print_handshakes(const struct summary *summary, FILE *out)
{
	uint64_t all = 0, ok = summary->outcomes[TLSTALL_OUTCOME_OK];
	char mean[WORD_SIZE], longest[WORD_SIZE];

	for (unsigned i = 0; i < 4; i++)
		all += summary->outcomes[i];
	print(out, "\n%" PRIu64 " handshake%s: %" PRIu64 " ok", all, word_s(all), ok);
	if (ok)
		print(out, " (mean %s, longest %s)", word_duration(summary->ok_ns / ok, mean),
		      word_duration(summary->longest_ok_ns, longest));
	print(out, ", %" PRIu64 " failed, %" PRIu64 " abandoned, %" PRIu64 " in flight\n",
	      summary->outcomes[TLSTALL_OUTCOME_FAILED],
	      summary->outcomes[TLSTALL_OUTCOME_ABANDONED],
	      summary->outcomes[TLSTALL_OUTCOME_IN_FLIGHT]);
	for (unsigned i = 0; i < CAUSE_COUNT; i++)
		if (summary->causes[i] && i != CAUSE_NONE)
			print(out, "  %" PRIu64 " %s: %s\n", summary->causes[i],
			      cause_name((enum cause)i), cause_title((enum cause)i));
}

int summary_print(const struct summary *summary, FILE *out)
{
	int result = print_calls(summary, out);

	print_handshakes(summary, out);
	return result;
}
