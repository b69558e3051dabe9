/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall detach: detaches from a process that tlstall attach is tracing. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "attach/attach.h"
#include "command.h"
#include "kernel/kernel.h"
#include "message.h"
#include "text/print.h"

static int detach(pid_t pid)
{
	struct attach attach = {.pid = pid};
	char why[1024];

	if (attach_end(&attach, why, sizeof(why)))
		return fail("%s", why);
	if (attach_is_watched(&attach))
		print(stdout, "process %d: detached; its tlstall attach ends and removes the trace (-d DIR keeps it)\n", pid);
	else
		print(stdout, "process %d: detached; its trace is in %s\n", pid, attach.place);
	return EXIT_SUCCESS;
}

static int run_detach(int argc, char **argv)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
	pid_t pid;

	opterr = 0;
	optind = 0;
	switch (getopt_long(argc, argv, ":h", longs, NULL)) {
	case -1:
		break;
	case 'h':
		return command_help(&command_detach);
	default:
		return usage_error(&command_detach, "unknown option '%s'", argv[optind - 1]);
	}
	if (argc - optind != 1)
		return usage_error(&command_detach, argc == optind ? "no process id given"
								   : "give only one process");
	pid = kernel_pid(argv[optind]);
	if (!pid)
		return usage_error(&command_detach, "'%s' is not a process id", argv[optind]);
	return detach(pid);
}

const struct command command_detach = {
	.name = "detach",
	.arguments = "PID",
	.summary = "detach from a process that tlstall attach is tracing",
	.help = "  -h, --help  print this help\n"
		"\n"
		"A running tlstall attach detaches and ends. If it was killed, the process is still\n"
		"being recorded: this command stops that, and prints where the trace is.\n",
	.run = run_detach,
};
