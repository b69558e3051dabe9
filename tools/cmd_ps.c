/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall ps: the handshakes in flight on this host, once. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <libsmartcols.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "live/collect.h"
#include "live/fields.h"
#include "live/target.h"
#include "view/record.h"

struct ps {
	struct live live;
	bool json;
};

/* ---- tables ------------------------------------------------------------------------ */

static struct libscols_table *new_table(void)
{
	struct libscols_table *table = scols_new_table();

	/* a terminal's width is that of what we print on */
	if (table && isatty(STDOUT_FILENO))
		scols_table_enable_maxout(table, 0);
	return table;
}

static void print_table(struct libscols_table *table)
{
	if (scols_table_get_nlines(table))
		scols_print_table(table);
	scols_unref_table(table);
}

static void print_handshakes(const struct live *live)
{
	struct libscols_table *table = new_table();

	if (!table)
		return;
	for (unsigned i = 0; i < live_field_count; i++)
		scols_table_new_column(table, live_fields[i].name, 0,
				       live_fields[i].right   ? SCOLS_FL_RIGHT
				       : live_fields[i].width ? 0
							      : SCOLS_FL_TRUNC);
	for (unsigned row = 0; row < live->subject_count; row++) {
		struct libscols_line *line = scols_table_new_line(table, NULL);
		char text[FIELD_SIZE];

		for (unsigned i = 0; line && i < live_field_count; i++) {
			live_fields[i].text(live->subjects[row], text);
			scols_line_set_data(line, i, text);
		}
	}
	print_table(table);
}

static void set_cell(struct libscols_line *line, unsigned column, const char *format, double value)
{
	char text[32];

	snprintf(text, sizeof(text), format, value);
	scols_line_set_data(line, column, text);
}

static void add_process(struct libscols_table *table, const struct live_file *file)
{
	const struct tlstall_header *header = trace_header(file->trace);
	const struct live_tally *tally = &file->tally;
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char comm[sizeof(header->comm) + 1] = "";

	if (!line)
		return;
	memcpy(comm, header->comm, sizeof(header->comm));
	set_cell(line, 0, "%.0f", file->pid);
	scols_line_set_data(line, 1, comm);
	set_cell(line, 2, "%.0f", tally->in_flight);
	set_cell(line, 3, "%.0f", tally->ok);
	set_cell(line, 4, "%.0f", tally->failed);
	set_cell(line, 5, "%.0f", tally->abandoned);
	set_cell(line, 6, "%.1f", (double)tally->recent_ok / LIVE_RECENT_S);
	set_cell(line, 7, "%.1f", (double)tally->recent_failed / LIVE_RECENT_S);
	set_cell(line, 8, "%.1f", (double)tally->recent_abandoned / LIVE_RECENT_S);
}

static void print_processes(const struct live *live)
{
	static const char *const names[] = {"PID",  "COMMAND",	"IN FLIGHT",
					    "OK",   "FAILED",	"ABANDONED",
					    "OK/s", "FAILED/s", "ABANDONED/s"};
	struct libscols_table *table = new_table();

	if (!table)
		return;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		scols_table_new_column(table, names[i], 0, i == 1 ? 0 : SCOLS_FL_RIGHT);
	for (unsigned i = 0; i < live->file_count; i++) {
		const struct live_file *file = live->files[i];

		if (file->shown && (!live->pid || live_find(live, live->pid) == file))
			add_process(table, file);
	}
	if (live->subject_count && scols_table_get_nlines(table))
		putchar('\n');
	print_table(table);
}

/* ---- records ------------------------------------------------------------------------- */

static void print_record(const struct subject *subject, struct symbols *symbols)
{
	json_t *record = record_handshake(subject, symbols);

	if (!record)
		return;
	json_dumpf(record, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(record);
}

/* Symbols take long to read: once for each trace, of which a host has few, handshakes many. */
static void print_records(const struct live *live)
{
	struct symbols **symbols = calloc(live->file_count + 1, sizeof(struct symbols *));

	for (unsigned i = 0; i < live->subject_count; i++) {
		struct trace *trace = live->subjects[i]->trace;
		unsigned file = 0;

		while (file < live->file_count && live->files[file]->trace != trace)
			file++;
		if (symbols && !symbols[file])
			symbols[file] = symbols_of_trace(trace);
		print_record(live->subjects[i], symbols ? symbols[file] : NULL);
	}
	for (unsigned i = 0; symbols && i <= live->file_count; i++)
		symbols_free(symbols[i]);
	free(symbols);
}

/* ---- the command ----------------------------------------------------------------------- */

static bool any_process(const struct live *live)
{
	for (unsigned i = 0; i < live->file_count; i++) {
		if (live->files[i]->alive)
			return true;
	}
	return live->subject_count;
}

static int complain_of_none(const struct live *live)
{
	char places[1024];

	live_places(places, sizeof(places));
	if (live->pid)
		return fail("process %d is not traced (no trace of it in %s)", live->pid, places);
	complain("no process is traced (no live trace in %s)", places);
	return EXIT_SUCCESS;
}

static int print(struct ps *ps)
{
	struct live *live = &ps->live;

	if (live_refresh(live))
		return fail("out of memory");
	if (live->problem[0])
		complain("%s", live->problem);
	if (live->pid ? !live_find(live, live->pid) && !live->subject_count : !any_process(live))
		return complain_of_none(live);
	if (ps->json) {
		print_records(live);
	} else {
		print_handshakes(live);
		print_processes(live);
	}
	if (fflush(stdout) || ferror(stdout))
		return fail("writing failed: %s", strerror(errno));
	return EXIT_SUCCESS;
}

static int parse(int argc, char **argv, struct ps *ps, bool *help)
{
	static const struct option longs[] = {{"all", no_argument, NULL, 'a'},
					      {"format", required_argument, NULL, 'f'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":ah", longs, NULL)) != -1) {
		if (option == 'h')
			*help = true;
		else if (option == 'a')
			ps->live.dead = true;
		else if (option == 'f' && !strcmp(optarg, "jsonl"))
			ps->json = true;
		else if (option == 'f' && strcmp(optarg, "text"))
			return usage_error(&command_ps, "unknown format '%s' (text or jsonl)",
					   optarg);
		else if (option == ':')
			return usage_error(&command_ps, "%s needs a value", argv[optind - 1]);
		else if (option == '?')
			return usage_error(&command_ps, "unknown option '%s'", argv[optind - 1]);
	}
	if (argc - optind > 1)
		return usage_error(&command_ps, "one process at most");
	if (argc > optind && !(ps->live.pid = target_parse(argv[optind])))
		return usage_error(&command_ps, "'%s' is no process id", argv[optind]);
	return 0;
}

static int run_ps(int argc, char **argv)
{
	struct ps ps = {.json = false};
	bool help = false;
	int status = parse(argc, argv, &ps, &help);

	if (status)
		return status;
	if (help)
		return command_help(&command_ps);
	setlocale(LC_CTYPE, "");
	status = print(&ps);
	live_close(&ps.live);
	return status;
}

const struct command command_ps = {
	.name = "ps",
	.arguments = "[OPTIONS] [PID]",
	.summary = "the handshakes in flight on this host, the oldest first, and why they last",
	.help = "  -a, --all            those too that died unfinished with their process\n"
		"  --format text|jsonl  a table (the default), or one JSON object a handshake\n"
		"  --help               this text\n"
		"\n"
		"A second table counts the ended handshakes of each traced process and its\n"
		"forked children; rates are of the last 10 seconds.\n",
	.run = run_ps,
};
