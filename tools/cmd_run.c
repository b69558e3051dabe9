/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall run: runs a program with the shim, shows its calls and what went wrong. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/check.h"
#include "command.h"
#include "message.h"
#include "now.h"
#include "run/attached.h"
#include "run/follow.h"
#include "run/heirs.h"
#include "run/launch.h"
#include "run/options.h"
#include "run/output.h"
#include "run/settings.h"
#include "trace/directory.h"

/*
 * After the program has ended, its children's handshakes may take this long, and may begin within
 * BEGIN_MS.
 */
#define GRACE_MS 5000
#define BEGIN_MS 1000
#define LOOK_MS 50

struct run {
	struct run_options options;
	struct output output;
	struct follow follow;
	struct launch launch;
	char shim[PATH_MAX];
	char directory[PATH_MAX];
	int64_t end_ms; /* CLOCK_MONOTONIC: when the program ended; 0: it has not */
};

/* If tracing fails, the program still runs. */
__attribute__((format(printf, 1, 2))) static int untraced(const char *format, ...)
{
	va_list arguments;
	char *why;

	va_start(arguments, format);
	if (vasprintf(&why, format, arguments) < 0)
		why = NULL;
	va_end(arguments);
	complain("%s; the program runs untraced", why ? why : "out of memory");
	free(why);
	return -1;
}

static int find_shim(struct run *run)
{
	if (!check_find_shim(run->shim, sizeof(run->shim)))
		return untraced(CHECK_NO_SHIM);
	if (!check_can_preload(run->shim))
		return untraced("%s: %s (move it)", run->shim, CHECK_NO_PRELOAD);
	return 0;
}

/* Says why nothing will be recorded, if that is certain. The program runs anyway. */
static void warn_of_unseen(const struct run *run)
{
	const struct check_options options = {.shim = run->shim};
	struct check_result result;
	char text[1024];

	if (!check_program(run->options.program[0], &options, &result) && !result.seen &&
	    result.reasons.count && result.reasons.list[0].kind != CHECK_REASON_NO_TLS)
		complain("%s", check_summary(&result, text, sizeof(text)));
	check_result_free(&result);
}

/* ---- where the traces lie -------------------------------------------------- */

static int make_private(struct run *run)
{
	const char *top = getenv("TMPDIR");

	if (!top || top[0] != '/' || access(top, W_OK | X_OK))
		top = "/tmp";
	snprintf(run->directory, sizeof(run->directory), "%.3000s/tlstall-run-XXXXXX", top);
	if (!mkdtemp(run->directory))
		return untraced("cannot create a trace directory in %s: %s", top, strerror(errno));
	/* a program run by root may change its user before its first handshake */
	if (geteuid() == 0 && chmod(run->directory, 01733)) {
		untraced("%s: %s", run->directory, strerror(errno));
		rmdir(run->directory);
		return -1;
	}
	/* everything here will be removed, so it needs no limit */
	setenv("TLSTALL_LIMIT", "0", 1);
	return 0;
}

static int use_given(struct run *run)
{
	const char *name = run->options.directory;
	struct stat st;

	if (mkdir(name, 0700) && errno != EEXIST)
		return untraced("cannot create directory %s: %s", name, strerror(errno));
	if (!stat(name, &st) && !S_ISDIR(st.st_mode))
		return untraced("cannot write traces to %s: %s", name, strerror(ENOTDIR));
	if (!realpath(name, run->directory) || access(run->directory, W_OK | X_OK))
		return untraced("cannot write traces to %s: %s", name, strerror(errno));
	return 0;
}

/* Prepares tracing. On failure, prints why and returns -1. */
static int prepare_tracing(struct run *run)
{
	if (find_shim(run) || (run->options.directory ? use_given(run) : make_private(run)))
		return -1;
	if (!follow_open(&run->follow, run->directory, &run->output.sink))
		return 0;
	untraced("watching %s: %s", run->directory, strerror(errno));
	if (!run->options.directory)
		rmdir(run->directory);
	return -1;
}

/* ---- the run ------------------------------------------------------------------ */

/* Whether to go on watching after the program has ended. */
static bool heirs_go_on(struct run *run)
{
	int64_t now = (int64_t)(now_ns(CLOCK_MONOTONIC) / 1000000);

	if (!run->end_ms)
		run->end_ms = now;
	if (run->launch.hurry || now > run->end_ms + GRACE_MS)
		return false;
	return follow_in_flight(&run->follow) ||
	       (now <= run->end_ms + BEGIN_MS && heirs_live(run->directory));
}

/* A program that cannot use its trace directory leaves a note in another place. */
static void tell_of_note(struct run *run)
{
	char **places = run->follow.seen || run->output.untraced ? NULL : trace_search_path();
	char reason[32];

	for (char **place = places; place && *place; place++) {
		if (trace_note_of(*place, run->launch.pid, run->launch.start, reason, sizeof(reason)) > 0) {
			run->output.sink.failed(&run->output, run->launch.pid, reason);
			break;
		}
	}
	trace_search_path_free(places);
}

static void watch(struct run *run)
{
	while (!run->launch.ended || heirs_go_on(run)) {
		struct pollfd events[] = {{run->launch.signals, POLLIN, 0},
					  {run->follow.notify, POLLIN, 0}};
		int timeout = follow_timeout(&run->follow);

		if (run->launch.ended && (timeout < 0 || timeout > LOOK_MS))
			timeout = LOOK_MS;
		poll(events, 2, timeout);
		launch_signals(&run->launch);
		follow_poll(&run->follow);
		output_tick(&run->output);
	}
	if (run->launch.told)
		output_hurry(&run->output);
	follow_finish(&run->follow);
	tell_of_note(run);
	output_end(&run->output, run->follow.seen);
}

static int run_traced(struct run *run)
{
	int status;

	run->follow.keep = run->options.directory;
	run->follow.late = run->output.records;
	status = launch_start(&run->launch, run->options.program, run->shim, run->directory);
	if (!status) {
		watch(run);
		status = run->launch.status;
	}
	launch_close(&run->launch);
	follow_close(&run->follow);
	if (!run->options.directory)
		rmdir(run->directory);
	return status;
}

static int run_untraced(struct run *run)
{
	int status = launch_start(&run->launch, run->options.program, NULL, NULL);

	while (!status && !run->launch.ended) {
		struct pollfd event = {run->launch.signals, POLLIN, 0};

		poll(&event, 1, -1);
		launch_signals(&run->launch);
	}
	launch_close(&run->launch);
	return status ? status : run->launch.status;
}

static int prepare_and_run(struct run *run)
{
	int status = settings_check_environment();

	if (!status)
		status = output_open(&run->output, &run->options);
	if (status)
		return status;
	if (prepare_tracing(run)) {
		status = run_untraced(run);
	} else {
		warn_of_unseen(run);
		status = run_traced(run);
	}
	output_close(&run->output);
	return status;
}

static int run_run(int argc, char **argv)
{
	struct run *run = calloc(1, sizeof(*run));
	int status;

	if (!run)
		return fail("out of memory");
	status = run_options_parse(&command_run, argc, argv, false, &run->options);
	if (!status && run->options.pid)
		status = attached_run(&run->options);
	else if (!status && run->options.program)
		status = prepare_and_run(run);
	run_options_free(&run->options);
	free(run);
	return status;
}

const struct command command_run = {
	.name = "run",
	.arguments = "[OPTIONS] [--] PROGRAM [ARG...] | -p PID",
	.summary = "run a program and explain why its TLS handshakes stall",
	.help = run_options_help,
	.run = run_run,
};
