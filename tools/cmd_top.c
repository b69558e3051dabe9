/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall top: shows this host's handshakes in flight, live. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "command.h"
#include "live/fields.h"
#include "kernel/kernel.h"
#include "message.h"
#include "top/top.h"

#define COLUMNS "pid, command, peer, sni, state, age, retry, cause, fault"

static int find_field(const char *name)
{
	for (unsigned i = 0; i < live_field_count; i++) {
		if (!strcasecmp(live_fields[i].name, name))
			return (int)i;
	}
	return -1;
}

/* Seconds, with a fraction. */
static int parse_delay(const char *text, unsigned *ms)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.1 && seconds <= 3600))
		return -1;
	*ms = (unsigned)(seconds * 1000);
	return 0;
}

static int take_option(struct top *top, int option, char **argv)
{
	int field;

	switch (option) {
	case 'a':
		top->live.dead = true;
		return 0;
	case 'l':
		top->live.look = true;
		return 0;
	case 'd':
		if (parse_delay(optarg, &top->interval_ms))
			return usage_error(&command_top,
					   "invalid delay '%s' (expected 0.1 to 3600 seconds)",
					   optarg);
		return 0;
	case 's':
		field = find_field(optarg);
		if (field < 0)
			return usage_error(&command_top, "unknown column '%s' (expected " COLUMNS ")", optarg);
		top->sort = (unsigned)field;
		return 0;
	case 'f':
		snprintf(top->filter, sizeof(top->filter), "%s", optarg);
		return 0;
	case ':':
		return usage_error(&command_top, "%s needs a value", argv[optind - 1]);
	default:
		return usage_error(&command_top, "unknown option '%s'", argv[optind - 1]);
	}
}

static int run_top(int argc, char **argv)
{
	static const struct option longs[] = {{"all", no_argument, NULL, 'a'},
					      {"delay", required_argument, NULL, 'd'},
					      {"sort", required_argument, NULL, 's'},
					      {"filter", required_argument, NULL, 'f'},
					      {"look", no_argument, NULL, 'l'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	struct top top = {.interval_ms = 1000, .sort = (unsigned)find_field("AGE")};
	int option, status;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":ad:h", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_top);
		status = take_option(&top, option, argv);
		if (status)
			return status;
	}
	if (argc - optind > 1)
		return usage_error(&command_top, "give at most one process");
	if (argc > optind && !(top.live.pid = kernel_pid(argv[optind])))
		return usage_error(&command_top, "'%s' is not a process id", argv[optind]);
	top.live.look |= top.live.pid != 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return fail("top needs a terminal (tlstall ps prints the same once)");
	return top_run(&top);
}

const struct command command_top = {
	.name = "top",
	.arguments = "[OPTIONS] [PID]",
	.summary = "watch the handshakes in flight: why each takes so long and whose fault it is",
	.help = "  -d, --delay SECONDS  seconds between two refreshes, 0.1 to 3600 (default 1)\n"
		"  -a, --all            include handshakes left unfinished when their process "
		"died\n"
		"  --look               include processes without the shim (see tlstall look)\n"
		"  --sort COLUMN        " COLUMNS "\n"
		"  --filter TEXT        show only rows that contain TEXT\n"
		"  -h, --help           print this help\n"
		"\n"
		"Keys: arrows move, Enter shows one handshake in detail, Esc goes back, s sorts\n"
		"by the next column, r reverses the order, / filters, d includes dead processes,\n"
		"p shows processes and their finished handshakes, space pauses, q quits.\n",
	.run = run_top,
};
