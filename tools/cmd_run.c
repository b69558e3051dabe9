/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall run: runs a program with the shim, shows its calls and what went wrong. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check/check.h"
#include "command.h"
#include "run/follow.h"
#include "run/heirs.h"
#include "run/launch.h"
#include "run/options.h"
#include "run/output.h"
#include "run/settings.h"

/* For handshakes of children that live on when the program has ended; to begin one they have less.
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
	int64_t end_ms; /* CLOCK_MONOTONIC: when the program had ended; 0: not yet */
};

static int find_shim(struct run *run)
{
	if (!check_find_shim(run->shim, sizeof(run->shim)))
		return fail("libtlstall.so is not beside this program nor in ../lib/tlstall");
	if (strpbrk(run->shim, ": "))
		return fail("%s: LD_PRELOAD cannot name a path with a space or colon (move it)",
			    run->shim);
	return 0;
}

/* Says why nothing can be seen, where that is certain. It is run all the same. */
static void warn(const struct run *run)
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
		return fail("making a directory for traces in %s: %s", top, strerror(errno));
	/* what root runs may become somebody else before it first shakes hands */
	if (geteuid() == 0 && chmod(run->directory, 01733))
		return fail("%s: %s", run->directory, strerror(errno));
	return 0;
}

static int use_given(struct run *run)
{
	const char *name = run->options.directory;

	if (mkdir(name, 0700) && errno != EEXIST)
		return fail("making %s: %s", name, strerror(errno));
	if (!realpath(name, run->directory) || access(run->directory, W_OK | X_OK))
		return fail("no traces can be kept in %s: %s", name, strerror(errno));
	return 0;
}

/* ---- the run ------------------------------------------------------------------ */

/* Whether there is something to wait for when the program has ended. */
static bool heirs_go_on(struct run *run)
{
	struct timespec clock;
	int64_t now;

	clock_gettime(CLOCK_MONOTONIC, &clock);
	now = clock.tv_sec * 1000 + clock.tv_nsec / 1000000;
	if (!run->end_ms)
		run->end_ms = now;
	if (run->launch.hurry || now > run->end_ms + GRACE_MS)
		return false;
	return follow_in_flight(&run->follow) ||
	       (now <= run->end_ms + BEGIN_MS && heirs_live(run->directory));
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
	follow_finish(&run->follow);
	output_end(&run->output, run->follow.seen);
}

static int launch_and_watch(struct run *run)
{
	int status = run->options.directory ? use_given(run) : make_private(run);

	if (status)
		return status;
	if (follow_open(&run->follow, run->directory, &run->output.sink))
		return fail("watching %s: %s", run->directory, strerror(errno));
	run->follow.keep = run->options.directory;
	run->follow.late = run->options.jsonl;
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

static int prepare_and_run(struct run *run)
{
	int status = settings_check_environment();

	if (!status)
		status = find_shim(run);
	if (!status)
		status = output_open(&run->output, &run->options);
	if (status)
		return status;
	warn(run);
	status = launch_and_watch(run);
	output_close(&run->output);
	return status;
}

static int run_run(int argc, char **argv)
{
	struct run *run = calloc(1, sizeof(*run));
	int status;

	if (!run)
		return fail("out of memory");
	status = run_options_parse(&command_run, argc, argv, &run->options);
	if (!status && run->options.program)
		status = prepare_and_run(run);
	run_options_free(&run->options);
	free(run);
	return status;
}

const struct command command_run = {
	.name = "run",
	.arguments = "[OPTIONS] [--] PROGRAM [ARG...]",
	.summary = "run a program, show its TLS handshakes and why they stall",
	.help = run_options_help,
	.run = run_run,
};
