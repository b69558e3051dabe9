/* SPDX-License-Identifier: Apache-2.0 */
#include "run/attached.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach/attach.h"
#include "check/check.h"
#include "ending.h"
#include "live/looked.h"
#include "live/looked_text.h"
#include "message.h"
#include "now.h"
#include "run/adopted.h"
#include "run/follow.h"
#include "run/output.h"
#include "text/print.h"
#include "words/words.h"

struct attached {
	const struct run_options *options;
	struct output output;
	struct follow follow;
	struct attach attach;
	struct adopted adopted;
	char shim[PATH_MAX];
	int signals, process; /* descriptors for poll() */
	uint64_t end_ns;      /* CLOCK_MONOTONIC; 0: none */
};

/* ---- what hangs now ------------------------------------------------------------------ */

static void show(struct attached *a, struct looked *looked)
{
	struct symbols *symbols = symbols_of_process(a->attach.pid);

	if (a->output.records)
		format_put_looked(a->options->format, a->output.records, looked, symbols);
	else
		looked_write(a->output.file, looked, symbols, a->output.color);
	symbols_free(symbols);
}

static void look_first(struct attached *a)
{
	char why[256];

	if (adopted_look(&a->adopted, a->attach.pid, why, sizeof(why))) {
		complain("%s", why);
		return;
	}
	adopted_list(&a->adopted, &a->attach);
	show(a, &a->adopted.first);
	if (!a->output.records)
		fputc('\n', a->output.file);
	output_flush(&a->output);
}

/* The trace does not show handshakes that made no call since tlstall attached. */
static void show_last(struct attached *a)
{
	if (a->adopted.ended && !a->output.records)
		print(a->output.file,
		      "\n%u handshake%s that began before tlstall attached ended without a recorded call\n",
		      a->adopted.ended, word_s(a->adopted.ended));
	if (!a->adopted.last.count)
		return;
	if (!a->output.records)
		fputs("\nBegan before tlstall attached, still in flight without a recorded call:\n", a->output.file);
	show(a, &a->adopted.last);
}

/* ---- begin ----------------------------------------------------------------------------- */

static int find_shim(struct attached *a)
{
	if (!check_find_shim(a->shim, sizeof(a->shim)))
		return fail(CHECK_NO_SHIM);
	a->attach = (struct attach){
		.pid = a->options->pid,
		.force = a->options->force,
		.shim = a->shim,
		.directory = a->options->directory,
	};
	return 0;
}

/*
 * From here on, Ctrl-C ends the watching instead of interrupting a step; so does the end of whoever
 * reads our output.
 */
static int open_descriptors(struct attached *a)
{
	signal(SIGPIPE, SIG_IGN);
	a->signals = ending_signals();
	a->process = (int)syscall(SYS_pidfd_open, a->attach.pid, 0);
	if (a->signals < 0)
		return fail("signalfd: %s", strerror(errno));
	return 0;
}

static bool has_ended(const struct attached *a)
{
	struct pollfd event = {a->process, POLLIN, 0};

	return poll(&event, 1, 0) == 1 || (kill(a->attach.pid, 0) && errno == ESRCH);
}

/* If the process ended meanwhile, that is the reason, whatever failed first. */
static int fail_because(const struct attached *a, const char *why)
{
	return has_ended(a) ? fail("process %d has ended", a->attach.pid) : fail("%s", why);
}

static int come_in(struct attached *a)
{
	char why[1024];

	if (attach_prepare(&a->attach, why, sizeof(why)))
		return fail_because(a, why);
	if (follow_open(&a->follow, a->attach.place, &a->output.sink)) {
		attach_clear(&a->attach);
		return fail("watching %s: %s", a->attach.place, strerror(errno));
	}
	a->follow.keep = a->options->directory;
	a->follow.late = a->output.records;
	if (!attach_begin(&a->attach, why, sizeof(why)))
		return 0;
	/* the trace may exist although the process did not confirm it */
	follow_finish(&a->follow);
	follow_close(&a->follow);
	attach_clear(&a->attach);
	return fail_because(a, why);
}

/* ---- the watching -------------------------------------------------------------------------- */

/* Another tlstall may have detached, or the process has called exec. */
static bool is_over(const struct attached *a)
{
	return a->follow.seen && !a->follow.traces;
}

static int timeout_of(const struct attached *a)
{
	int timeout = follow_timeout(&a->follow);
	uint64_t now = now_ns(CLOCK_MONOTONIC), left;

	if (!a->end_ns)
		return timeout;
	left = a->end_ns > now ? (a->end_ns - now) / 1000000 + 1 : 0;
	return timeout < 0 || left < (uint64_t)timeout ? (int)left : timeout;
}

static void watch(struct attached *a)
{
	struct pollfd events[] = {{a->signals, POLLIN, 0},
				  {a->process, POLLIN, 0},
				  {a->follow.notify, POLLIN, 0},
				  {fileno(a->output.file), 0, 0}};

	while (!events[0].revents && !events[1].revents && !events[3].revents && !is_over(a) &&
	       (!a->end_ns || now_ns(CLOCK_MONOTONIC) < a->end_ns)) {
		poll(events, 4, timeout_of(a));
		/* standard error was closed from the start */
		if (events[3].revents & POLLNVAL)
			events[3] = (struct pollfd){.fd = -1};
		follow_poll(&a->follow);
		output_tick(&a->output);
	}
	if (events[0].revents)
		output_hurry(&a->output);
}

/* A process that we cannot detach from now goes on recording; the message says how to try again. */
static int step_back(struct attached *a)
{
	char why[1024];

	if (is_over(a) || has_ended(a) || !attach_end(&a->attach, why, sizeof(why)) || has_ended(a))
		return 0;
	return fail("%s; the shim is still in it (tlstall detach %d tries again)", why,
		    a->attach.pid);
}

static int attach_and_watch(struct attached *a)
{
	int status;

	look_first(a);
	status = come_in(a);
	if (status)
		return status;
	if (a->options->for_ns)
		a->end_ns = now_ns(CLOCK_MONOTONIC) + a->options->for_ns;
	watch(a);
	if (!has_ended(a))
		adopted_look_again(&a->adopted, &a->follow);
	status = step_back(a);
	follow_finish(&a->follow);
	output_end(&a->output, a->follow.seen);
	show_last(a);
	output_flush(&a->output);
	if (!status && has_ended(a))
		complain("process %d has ended", a->attach.pid);
	follow_close(&a->follow);
	attach_clear(&a->attach);
	return status;
}

static int check_and_run(struct attached *a)
{
	char why[1024];
	int status = find_shim(a);

	if (!status && attach_check(&a->attach, why, sizeof(why)))
		status = fail("%s", why);
	if (!status)
		status = output_open(&a->output, a->options);
	if (status)
		return status;
	status = open_descriptors(a);
	if (!status)
		status = attach_and_watch(a);
	adopted_free(&a->adopted);
	output_close(&a->output);
	close(a->signals);
	close(a->process);
	return status;
}

int attached_run(const struct run_options *options)
{
	struct attached *a = calloc(1, sizeof(*a));
	int status;

	if (!a)
		return fail("out of memory");
	a->options = options;
	a->signals = a->process = -1;
	status = check_and_run(a);
	free(a);
	return status;
}
