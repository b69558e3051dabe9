/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall clean: removes traces of processes that have ended. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "prune/prune.h"
#include "text/print.h"
#include "trace/directory.h"
#include "trace/ledger.h"
#include "words/words.h"

static void tell_removed(void *context, const char *path, uint64_t bytes)
{
	const struct prune_wish *wish = context;
	char size[WORD_SIZE];

	if (wish->dry)
		print(stdout, "would remove %s (%s)\n", path, word_size(bytes, size));
}

static void tell_not_removed(void *context, const char *path, const char *why)
{
	(void)context;
	complain("cannot remove %s: %s", path, why);
}

static void tell_unreadable(void *context, const char *path, const char *why)
{
	(void)context;
	complain("%s: %s; not removed", path, why);
}

static void tell(const struct prune_wish *wish, const struct pruned *done)
{
	char removed[WORD_SIZE], left[WORD_SIZE];

	print(stdout, "%s %u trace%s, %s; %u left, %s, including %u of running processes\n",
	      wish->dry ? "would remove" : "removed", done->traces, word_s(done->traces),
	      word_size(done->bytes, removed), done->left, word_size(done->left_bytes, left),
	      done->live);
}

static int clean(struct prune_wish *wish)
{
	const struct prune_sink sink = {
		.removed = tell_removed,
		.not_removed = tell_not_removed,
		.unreadable = tell_unreadable,
		.context = wish,
	};
	struct pruned done;

	if (prune(wish, &sink, &done))
		return fail("%s: %s", wish->directory, strerror(errno));
	if (!wish->dry && trace_ledger_settle(wish->directory))
		complain("%s: the size of its traces was not recounted: %s", wish->directory,
			 strerror(errno));
	tell(wish, &done);
	return done.failed ? EXIT_FAILURE : 0;
}

/* ---- command line --------------------------------------------------------------------------- */

static int set_option(struct prune_wish *wish, int option, char **argv)
{
	unsigned long count;
	char *end;

	switch (option) {
	case 'o':
		if (prune_parse_age(optarg, &wish->older_s))
			return usage_error(
				&command_clean,
				"invalid age '%s' (expected 30m, 12h or 7d, for example)", optarg);
		return 0;
	case 'k':
		if (prune_parse_size(optarg, &wish->keep_bytes))
			return usage_error(&command_clean,
					   "invalid size '%s' (expected 500M or 2G, for example)",
					   optarg);
		return 0;
	case 't':
		count = strtoul(optarg, &end, 10);
		if (*optarg < '0' || *optarg > '9' || *end || count >= UINT_MAX)
			return usage_error(&command_clean,
					   "invalid number of traces '%s' (expected 1000, for example)",
					   optarg);
		wish->keep_traces = (unsigned)count;
		return 0;
	case 'c':
		if (strcmp(optarg, "ok"))
			return usage_error(&command_clean, "unknown outcome '%s' (expected ok)",
					   optarg);
		wish->only_ok = true;
		return 0;
	case 'n':
		wish->dry = true;
		return 0;
	case ':':
		return usage_error(&command_clean, "%s needs a value", argv[optind - 1]);
	default:
		return usage_error(&command_clean, "unknown option '%s'", argv[optind - 1]);
	}
}

static int run_clean(int argc, char **argv)
{
	static const struct option longs[] = {{"older", required_argument, NULL, 'o'},
					      {"keep-bytes", required_argument, NULL, 'k'},
					      {"keep-traces", required_argument, NULL, 't'},
					      {"outcome", required_argument, NULL, 'c'},
					      {"dry-run", no_argument, NULL, 'n'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	struct prune_wish wish = {.keep_bytes = UINT64_MAX, .keep_traces = UINT_MAX};
	char directory[4096];
	int option, status;

	wish.directory = directory;
	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":nh", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_clean);
		status = set_option(&wish, option, argv);
		if (status)
			return status;
	}
	if (argc - optind > 1)
		return usage_error(&command_clean, "give at most one directory");
	if (argc > optind)
		wish.directory = argv[optind];
	else
		trace_default_directory(directory, sizeof(directory));
	return clean(&wish);
}

const struct command command_clean = {
	.name = "clean",
	.arguments = "[OPTIONS] [DIRECTORY]",
	.summary = "remove traces of processes that have ended",
	.help = "  --older AGE         only traces without a sign of life for AGE: 30m, 12h, 7d\n"
		"  --keep-bytes SIZE   remove the oldest first, until at most SIZE is left:\n"
		"                      500M, 2G\n"
		"  --keep-traces N     remove the oldest first, until at most N are left\n"
		"  --outcome ok        only traces in which every handshake went well\n"
		"  -n, --dry-run       list what would be removed\n"
		"  -h, --help          print this help\n"
		"\n"
		"Only traces that match all given options are removed; without options, all\n"
		"traces of processes that have ended. Traces of running processes are kept, and\n"
		"those of processes that cannot be seen: on another host, in another container.\n"
		"The default directory is $TLSTALL_DIR, else $XDG_RUNTIME_DIR/tlstall, else\n"
		"/tmp/tlstall-UID.\n",
	.run = run_clean,
};
