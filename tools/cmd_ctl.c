/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall ctl: changes what a running process records, through its trace file. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "live/collect.h"
#include "kernel/kernel.h"
#include "message.h"
#include "text/print.h"

/* A word of the command line: one 32-bit store into the trace file's header. */
static const struct change {
	const char *word;
	off_t offset;
	uint32_t value;
} changes[] = {
#define AT(field) offsetof(struct tlstall_header, control.field)
	{"off", AT(mode), TLSTALL_MODE_OFF}, {"on", AT(mode), TLSTALL_MODE_ALL},
	{"all", AT(mode), TLSTALL_MODE_ALL}, {"watch", AT(mode), TLSTALL_MODE_WATCH}, {"handshake", AT(mode), TLSTALL_MODE_HANDSHAKE},
	{"stacks=on", AT(stacks), 1},	     {"stacks=off", AT(stacks), 0},
	{"socket=on", AT(socket), 1},	     {"socket=off", AT(socket), 0},
#undef AT
};

static const struct change *find_change(const char *word)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (!strcmp(changes[i].word, word))
			return &changes[i];
	}
	return NULL;
}

static int apply(const char *path, char **words, int count)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	int status = EXIT_SUCCESS;

	if (fd < 0)
		return fail("%s: %s%s", path, strerror(errno),
			    errno == EACCES ? " (run this as the user of the process or as root)"
					    : "");
	for (int i = 0; i < count && !status; i++) {
		const struct change *change = find_change(words[i]);

		if (pwrite(fd, &change->value, sizeof(change->value), change->offset) !=
		    (ssize_t)sizeof(change->value))
			status = fail("writing to %s: %s", path, strerror(errno));
	}
	close(fd);
	return status;
}

static void show(const struct live_file *file)
{
	static const char *const modes[] = {"off", "handshake", "all", "watch"};
	const struct tlstall_control *control = &trace_header(file->trace)->control;
	bool known = control->mode < sizeof(modes) / sizeof(*modes);

	print(stdout, "%s stacks=%s socket=%s\n", known ? modes[control->mode] : "?",
	      control->stacks ? "on" : "off", control->socket ? "on" : "off");
}

static int change_all(struct live *live, char **words, int count)
{
	struct live_file *file;
	char why[2048];
	int status;

	if (live_refresh(live))
		return fail("out of memory");
	file = live_find(live, live->pid);
	if (!file) {
		live_absence(live, live->pid, why, sizeof(why));
		return fail("%s", why);
	}
	status = apply(file->path, words, count);
	if (status)
		return status;
	trace_refresh(file->trace);
	show(file);
	return EXIT_SUCCESS;
}

static int run_ctl(int argc, char **argv)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
	struct live live = {.pid = 0};
	int option, status;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_ctl);
		return usage_error(&command_ctl, "unknown option '%s'", argv[optind - 1]);
	}
	if (argc == optind)
		return usage_error(&command_ctl, "no process id given");
	live.pid = kernel_pid(argv[optind]);
	if (!live.pid)
		return usage_error(&command_ctl, "'%s' is not a process id", argv[optind]);
	for (int i = optind + 1; i < argc; i++) {
		if (!find_change(argv[i]))
			return usage_error(&command_ctl, "unknown setting '%s'", argv[i]);
	}
	status = change_all(&live, argv + optind + 1, argc - optind - 1);
	live_close(&live);
	return status;
}

const struct command command_ctl = {
	.name = "ctl",
	.arguments = "PID [on|off|handshake|all|watch] [stacks=on|off] [socket=on|off]",
	.summary = "change what a running traced process records",
	.help = "  off            record nothing; a call costs a load and a branch\n"
		"  handshake      record calls only until the first read after a handshake\n"
		"  all, on        record every call\n"
		"  watch          record each handshake compactly, and in full if late or failed\n"
		"  stacks=on|off  record the stacks of first and failing calls\n"
		"  socket=on|off  ask the kernel for TCP_INFO and queue sizes at some calls\n"
		"  -h, --help     print this help\n"
		"\n"
		"Prints the resulting settings; without arguments it changes nothing. Settings "
		"apply\n"
		"to the process and its forked children.\n",
	.run = run_ctl,
};
