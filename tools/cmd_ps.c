/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall ps: shows this host's handshakes in flight, once. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "formats/format.h"
#include "live/collect.h"
#include "live/fields.h"
#include "kernel/kernel.h"
#include "message.h"
#include "text/print.h"
#include "text/table.h"
#include "trace/directory.h"
#include "view/record.h"
#include "words/words.h"

struct ps {
	struct live live;
	const struct format *format;
};

/* ---- tables ------------------------------------------------------------------------ */

static int print_handshakes(const struct live *live)
{
	struct table_column columns[LIVE_FIELDS_MAX];
	struct table table;

	for (unsigned i = 0; i < live_field_count; i++)
		columns[i] = (struct table_column){live_fields[i].name,
						   live_fields[i].right	  ? SCOLS_FL_RIGHT
						   : live_fields[i].width ? 0
									  : SCOLS_FL_TRUNC};
	table_open(&table, stdout, isatty(STDOUT_FILENO), columns, live_field_count);
	for (unsigned row = 0; row < live->subject_count; row++) {
		char text[FIELD_SIZE];

		table_line(&table);
		for (unsigned i = 0; i < live_field_count; i++) {
			live_fields[i].text(live->subjects[row], text);
			table_cell(&table, i, "%s", text);
		}
	}
	return table_close(&table, NULL);
}

static void explain_ages(const struct live *live)
{
	for (unsigned i = 0; i < live->subject_count; i++) {
		if (live->subjects[i]->facts.looked) {
			print(stdout, "+ seen from outside, without the shim: ages are minimums\n");
			break;
		}
	}
}

static void add_process(struct table *table, const struct live_file *file)
{
	const struct live_tally *tally = &file->tally;

	table_line(table);
	table_cell(table, 0, "%s", file->pid);
	table_cell(table, 1, "%s", file->comm);
	table_cell(table, 2, "%u", tally->in_flight);
	table_cell(table, 3, "%u", tally->ok);
	table_cell(table, 4, "%u", tally->failed);
	table_cell(table, 5, "%u", tally->abandoned);
	table_cell(table, 6, "%.1f", (double)tally->recent_ok / LIVE_RECENT_S);
	table_cell(table, 7, "%.1f", (double)tally->recent_failed / LIVE_RECENT_S);
	table_cell(table, 8, "%.1f", (double)tally->recent_abandoned / LIVE_RECENT_S);
}

static int print_processes(const struct live *live)
{
	static const struct table_column columns[] = {
		{"PID", SCOLS_FL_RIGHT},	{"COMMAND", 0},
		{"IN FLIGHT", SCOLS_FL_RIGHT},	{"OK", SCOLS_FL_RIGHT},
		{"FAILED", SCOLS_FL_RIGHT},	{"ABANDONED", SCOLS_FL_RIGHT},
		{"OK/s", SCOLS_FL_RIGHT},	{"FAILED/s", SCOLS_FL_RIGHT},
		{"ABANDONED/s", SCOLS_FL_RIGHT}};
	struct table table;

	table_open(&table, stdout, isatty(STDOUT_FILENO), columns, 9);
	for (unsigned i = 0; i < live->file_count; i++) {
		const struct live_file *file = live->files[i];

		if (file->shown && (!live->pid || live_find(live, live->pid) == file))
			add_process(&table, file);
	}
	if (live->subject_count && table.count)
		putchar('\n');
	return table_close(&table, NULL);
}

static int print_tables(const struct live *live)
{
	if (print_handshakes(live))
		return fail("out of memory");
	explain_ages(live);
	return print_processes(live) ? fail("out of memory") : EXIT_SUCCESS;
}

/* Traces that nothing removes take up space: says how much. */
static void print_room(void)
{
	char **directories = live_directories(), size[WORD_SIZE];

	for (char **directory = directories; directory && *directory; directory++) {
		unsigned count;
		uint64_t bytes = trace_directory_bytes(*directory, &count);

		if (count)
			print(stdout, "%u trace%s, %s in %s\n", count, word_s(count),
			      word_size(bytes, size), *directory);
	}
	trace_search_path_free(directories);
}

/* ---- records ------------------------------------------------------------------------- */

/* Reading symbols takes long: once per trace, of which there are few, not per handshake. */
struct symbol_cache {
	const struct live *live;
	struct symbols **of_files, **of_looked;
};

static struct symbols *symbols_for(const struct symbol_cache *cache, const struct subject *subject)
{
	const struct live *live = cache->live;

	for (unsigned i = 0; i < live->file_count; i++) {
		if (live->files[i]->trace != subject->trace)
			continue;
		if (!cache->of_files[i])
			cache->of_files[i] = symbols_of_trace(subject->trace);
		return cache->of_files[i];
	}
	for (unsigned i = 0; i < live->looked_count; i++) {
		if (live->looked[i].trace != subject->trace)
			continue;
		if (!cache->of_looked[i])
			cache->of_looked[i] = symbols_of_process(subject->pid_here);
		return cache->of_looked[i];
	}
	return NULL;
}

static int print_records(const struct live *live, const struct format_records *records)
{
	void *context = records->begin(stdout);
	struct json_line record = {0};
	struct symbol_cache cache = {
		.live = live,
		.of_files = calloc(live->file_count + 1, sizeof(struct symbols *)),
		.of_looked = calloc(live->looked_count + 1, sizeof(struct symbols *)),
	};
	bool named = cache.of_files && cache.of_looked;
	int result = -1;

	for (unsigned i = 0; context && i < live->subject_count; i++) {
		const struct subject *subject = live->subjects[i];
		struct symbols *symbols = named ? symbols_for(&cache, subject) : NULL;

		record_handshake(&record, subject);
		record_stack(&record, subject, symbols);
		records->put(context, &record);
	}
	for (unsigned i = 0; named && i < live->file_count; i++)
		symbols_free(cache.of_files[i]);
	for (unsigned i = 0; named && i < live->looked_count; i++)
		symbols_free(cache.of_looked[i]);
	free(cache.of_files);
	free(cache.of_looked);
	json_line_free(&record);
	if (context)
		result = records->end(context);
	return result ? fail("out of memory") : EXIT_SUCCESS;
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
	if (live->pid) {
		live_absence(live, live->pid, places, sizeof(places));
		return fail("%s", places);
	}
	complain("no process is traced (no live trace in %s)", places);
	return EXIT_SUCCESS;
}

static int show(struct ps *ps)
{
	struct live *live = &ps->live;

	if (live_refresh(live))
		return fail("out of memory");
	if (live->problem[0])
		complain("%s", live->problem);
	if (live->pid ? !live_find(live, live->pid) && !live->subject_count && !live->looked_count
		      : !any_process(live))
		return complain_of_none(live);
	if (ps->format->records)
		return print_records(live, ps->format->records);
	if (!live->pid)
		print_room();
	else if (!live->subject_count && !live_find(live, live->pid))
		complain("process %d has no handshake in flight (seen from outside)", live->pid);
	return print_tables(live);
}

static int parse(int argc, char **argv, struct ps *ps, bool *help)
{
	static const struct option longs[] = {{"all", no_argument, NULL, 'a'},
					      {"format", required_argument, NULL, 'f'},
					      {"look", no_argument, NULL, 'l'},
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
		else if (option == 'l')
			ps->live.look = true;
		else if (option == 'f' && format_parse(&command_ps, FORMAT_WORDS | FORMAT_RECORDS,
						       optarg, &ps->format))
			return EXIT_USAGE;
		else if (option == ':')
			return usage_error(&command_ps, "%s needs a value", argv[optind - 1]);
		else if (option == '?')
			return usage_error(&command_ps, "unknown option '%s'", argv[optind - 1]);
	}
	if (argc - optind > 1)
		return usage_error(&command_ps, "give at most one process");
	if (argc > optind && !(ps->live.pid = kernel_pid(argv[optind])))
		return usage_error(&command_ps, "'%s' is not a process id", argv[optind]);
	ps->live.look |= ps->live.pid != 0;
	return 0;
}

static int run_ps(int argc, char **argv)
{
	struct ps ps = {.format = format_words()};
	bool help = false;
	int status = parse(argc, argv, &ps, &help);

	if (status)
		return status;
	if (help)
		return command_help(&command_ps);
	status = show(&ps);
	live_close(&ps.live);
	return status;
}

const struct command command_ps = {
	.name = "ps",
	.arguments = "[OPTIONS] [PID]",
	.summary = "list the handshakes in flight on this host, oldest first, and why they take so "
		   "long",
	.help = "  -a, --all            include handshakes left unfinished when their process "
		"died\n"
		"  --format " FORMAT_NAMES
		"  a table (the default), or one JSON object per handshake\n"
		"  --look               include processes without the shim (see tlstall look)\n"
		"  -h, --help           print this help\n"
		"\n"
		"A second table counts the finished handshakes of each traced process and its\n"
		"forked children. Rates are per second, over the last 10 seconds.\n",
	.run = run_ps,
};
