/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall look: shows the handshakes of processes that run without the shim. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "formats/format.h"
#include "kernel/kernel.h"
#include "live/looked.h"
#include "live/looked_table.h"
#include "live/looked_text.h"
#include "live/named.h"
#include "message.h"
#include "run/options.h"
#include "symbols/symbols.h"
#include "text/print.h"
#include "trace/host.h"

struct look_run {
	const char *target; /* NULL: all processes */
	bool all;
	uint64_t again_ns;
	const struct format *format;
	void *records; /* of the format */
	struct looked_table *table;
	bool color;
	unsigned shown;
};

/* ---- one process -------------------------------------------------------------------- */

static void show(struct look_run *run, struct looked *looked)
{
	struct symbols *symbols =
		run->table && !run->records ? NULL : symbols_of_process(looked->look.pid);

	if (run->records) {
		format_put_looked(run->format, run->records, looked, symbols);
	} else if (run->table) {
		looked_table_add(run->table, looked);
	} else {
		if (run->shown)
			putchar('\n');
		looked_write(stdout, looked, symbols, run->color);
	}
	run->shown++;
	symbols_free(symbols);
}

static int explain_none(const struct looked *looked)
{
	const struct look *look = &looked->look;

	if (look->libraries.foreign)
		return fail("process %d has a libssl that is not OpenSSL 1.1.1 or later: %s "
			    "(tlstall check %d)",
			    look->pid, look->libraries.foreign, look->pid);
	if (host_is_loading(look->pid))
		return fail("process %d has not loaded its libraries yet (tlstall stack --all %d shows where it is)",
			    look->pid, look->pid);
	return fail("process %d has no libssl whose functions can be found (tlstall check %d "
		    "says why)",
		    look->pid, look->pid);
}

static int look_into(struct look_run *run, pid_t pid)
{
	struct looked looked;
	char why[256];
	int status = EXIT_SUCCESS;

	if (looked_take(pid, run->again_ns, &looked, why, sizeof(why)))
		return run->all ? EXIT_SUCCESS : fail("%s", why);
	if (looked.look.libraries.count)
		show(run, &looked);
	else if (!run->all)
		status = explain_none(&looked);
	looked_free(&looked);
	return status;
}

/* ---- all of them ----------------------------------------------------------------------- */

static int look_into_each(struct look_run *run, const struct named *named)
{
	int status = EXIT_SUCCESS;

	for (unsigned i = 0; i < named->count; i++)
		status |= look_into(run, named->list[i]);
	if (run->table && !run->records && looked_table_print(run->table, stdout))
		return fail("out of memory");
	if (run->all && !run->shown)
		complain("no process that you may inspect has a libssl");
	return status;
}

static int begin(struct look_run *run)
{
	run->color = print_in_color(stdout);
	if (run->format->records)
		run->records = run->format->records->begin(stdout);
	else if (run->all)
		run->table = looked_table_new();
	return (run->format->records && !run->records) ||
	       (!run->format->records && run->all && !run->table);
}

static int look(struct look_run *run)
{
	struct named named;
	int status;

	if (named_find(run->all ? NULL : run->target, &named) || begin(run))
		return fail("out of memory");
	if (!named.count && !run->all)
		status = fail("no such process: %s%s", run->target,
			      strchr(run->target, '/') ? " (give its name without a directory)" : "");
	else
		status = look_into_each(run, &named);
	if (run->records && run->format->records->end(run->records))
		status = fail("out of memory");
	looked_table_free(run->table);
	named_free(&named);
	return status;
}

/* ---- options ------------------------------------------------------------------------------ */

static int take_option(struct look_run *run, int option, char **argv)
{
	switch (option) {
	case 'a':
		run->all = true;
		return 0;
	case 'F':
		return format_parse(&command_look, FORMAT_WORDS | FORMAT_RECORDS, optarg,
				    &run->format);
	case 't':
		if (parse_duration(optarg, &run->again_ns))
			return 0;
		return usage_error(&command_look,
				   "invalid duration '%s' (expected 3s or 500ms, for example)",
				   optarg);
	case ':':
		return usage_error(&command_look, "%s needs a value", argv[optind - 1]);
	default:
		return usage_error(&command_look, "unknown option '%s'", argv[optind - 1]);
	}
}

static int run_look(int argc, char **argv)
{
	static const struct option longs[] = {{"all", no_argument, NULL, 'a'},
					      {"for", required_argument, NULL, 't'},
					      {"format", required_argument, NULL, 'F'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	struct look_run run = {.format = format_words()};
	int option, status;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":ah", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_look);
		status = take_option(&run, option, argv);
		if (status)
			return status;
	}
	if (argc - optind != !run.all)
		return usage_error(&command_look, run.all	   ? "--all takes no process"
						  : argc == optind ? "no process given"
								   : "give only one process");
	run.target = argv[optind];
	if (!run.all && !*run.target)
		return usage_error(&command_look, "no process given");
	return look(&run);
}

const struct command command_look = {
	.name = "look",
	.arguments = "[OPTIONS] PID|NAME | --all",
	.summary = "find the handshakes of a process that runs without the shim, and why they hang",
	.help = "  -a, --all            list every process that has a libssl, one per line\n"
		"  --for DURATION       look twice, DURATION apart (such as 3s), and say what "
		"changed\n"
		"  --format " FORMAT_NAMES
		"  text (the default), or one JSON object per process and "
		"handshake\n"
		"  -h, --help           print this help\n"
		"\n"
		"NAME is that of a command or program file, without a directory: all its processes.\n"
		"The process is neither stopped nor changed. Only the shim can know the calls, "
		"their\n"
		"results, and when a handshake began; durations are therefore \"at least\".\n",
	.run = run_look,
};
