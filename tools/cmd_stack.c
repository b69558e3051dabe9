/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall stack: shows where the threads of a process that make handshakes are. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "live/collect.h"
#include "live/stack.h"
#include "kernel/kernel.h"
#include "message.h"
#include "text/print.h"
#include "trace/host.h"
#include "view/line.h"
#include "words/words.h"

struct stack_run {
	pid_t pid;
	bool all;  /* every thread */
	bool stop; /* with ptrace */
	struct live live;
	struct unwinder *unwinder;
	struct symbols *symbols;
	unsigned refused; /* threads that ptrace could not stop */
	int error;
};

static void unwind(struct stack_run *run, pid_t tid, struct unwound *out)
{
	if (unwind_thread(run->unwinder, tid, run->stop, out)) {
		run->error = errno;
		run->refused++;
	}
}

static void print_thread(struct stack_run *run, pid_t tid, int own_fd,
			 const struct unwound *unwound, const char *when)
{
	char where[128];

	stack_where(run->pid, tid, own_fd, unwound, where, sizeof(where));
	print(stdout, "  thread %d %s%s\n", tid, where, when);
	stack_write(stdout, unwound, run->symbols, "    ");
}

/* ---- handshakes ---------------------------------------------------------------------- */

static void print_call(const struct facts *facts)
{
	bool inside = facts->in_op_ns > 0;
	char word[WORD_SIZE];

	print(stdout, ": %s %s", inside ? "inside" : "between calls; the last was",
	      inside ? facts->in_call_function : facts->last_function);
	print(stdout, inside ? " for %s" : ", %s ago",
	      word_duration(inside ? facts->in_op_ns : facts->idle_ns, word));
}

/* Found from outside: nobody knows when it began or which call was the last. */
static void print_looked_call(const struct facts *facts)
{
	const char *function = facts->in_call_function;
	char word[WORD_SIZE];

	if (facts->entered)
		print(stdout, ": inside %s", function && *function ? function : "OpenSSL");
	else
		print(stdout, ": between calls");
	print(stdout, " for at least %s", word_duration(facts->since_progress_ns, word));
}

static void print_handshake(const struct subject *subject)
{
	const struct facts *facts = &subject->facts;
	char peer[WORD_SIZE], pid[SUBJECT_PID_SIZE];
	const char *with = word_address(&subject->h.peer, peer);

	print_text(stdout, subject->process.comm);
	print(stdout, "[%s], ", subject_pid(subject, pid));
	if (facts->looked)
		print(stdout, "seen from outside%s", *with ? "," : "");
	else
		print(stdout, "handshake %llu", (unsigned long long)subject->h.number);
	if (*with)
		print(stdout, " with %s", with);
	if (facts->looked)
		print_looked_call(facts);
	else
		print_call(facts);
	if (facts->state && *facts->state)
		print(stdout, " [%s]", facts->state);
	putchar('\n');
}

struct taken {
	const struct subject *subject;
	pid_t tid;
	struct unwound unwound;
	const char *when;
};

/* A program that stays anywhere for longer than a look takes is found there in one of them. */
#define LOOKS 20

/* The call of a handshake and the stack of its thread, of one moment if possible; false: it has ended. */
static bool take(struct stack_run *run, struct subject *subject, struct taken *out)
{
	/* each stop of the thread may disturb it */
	unsigned looks = run->stop || subject->facts.looked ? 1 : LOOKS;

	*out = (struct taken){.subject = subject, .when = "?"};
	for (unsigned i = 0; i < looks && *out->when; i++) {
		if (!subject->facts.looked && !live_again(subject))
			return false;
		out->tid = host_thread(run->pid, (pid_t)subject->h.tid);
		unwind(run, out->tid, &out->unwound);
		out->when = stack_when(subject, &out->unwound, run->symbols);
	}
	return true;
}

static unsigned take_all(struct stack_run *run, struct taken *list)
{
	unsigned count = 0;

	for (unsigned i = 0; i < run->live.subject_count; i++)
		count += take(run, run->live.subjects[i], &list[count]);
	return count;
}

/* Starts with those inside a call, which are usually the ones asked about. */
static void print_taken(struct stack_run *run, const struct taken *list, unsigned count, bool inside)
{
	for (unsigned i = 0; i < count; i++) {
		const struct subject *subject = list[i].subject;

		if ((subject->facts.in_op_ns > 0) != inside)
			continue;
		print_handshake(subject);
		print_thread(run, list[i].tid, subject->live.own_fd, &list[i].unwound,
			     list[i].when);
	}
}

static int print_in_flight(struct stack_run *run)
{
	struct taken *list;
	unsigned count;
	char places[1024];

	if (!live_find(&run->live, run->pid) && !run->live.looked_count) {
		live_places(places, sizeof(places));
		return fail(
			"process %d is not traced (no trace of it in %s; tlstall check %d says where it is, or why there is none; --all shows the threads)",
			run->pid, places, run->pid);
	}
	list = calloc(run->live.subject_count + 1, sizeof(*list));
	if (!list)
		return fail("out of memory");
	count = take_all(run, list);
	print_taken(run, list, count, true);
	print_taken(run, list, count, false);
	if (!count)
		complain("process %d has no handshake in flight (--all shows every thread)",
			 run->pid);
	free(list);
	return EXIT_SUCCESS;
}

/* ---- all threads ------------------------------------------------------------------------ */

static int print_all(struct stack_run *run)
{
	struct unwound unwound;
	char path[32];
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", run->pid);
	tasks = opendir(path);
	if (!tasks)
		return fail("process %d has ended", run->pid);
	print(stdout, "process %d\n", run->pid);
	while ((entry = readdir(tasks))) {
		pid_t tid = kernel_pid(entry->d_name);

		if (!tid)
			continue;
		unwind(run, tid, &unwound);
		print_thread(run, tid, -1, &unwound, "");
	}
	closedir(tasks);
	return EXIT_SUCCESS;
}

/* ---- the command -------------------------------------------------------------------------- */

static int show(struct stack_run *run)
{
	int status;

	if (live_refresh(&run->live))
		return fail("out of memory");
	status = run->all ? print_all(run) : print_in_flight(run);
	if (!status && run->refused)
		return fail("stopping %u of its threads failed: %s (is a debugger attached?)",
			    run->refused, strerror(run->error));
	return status;
}

static int open_and_print(struct stack_run *run)
{
	char why[256];
	int status;

	if (kernel_access(run->pid, why, sizeof(why)))
		return fail("%s", why);
	run->unwinder = unwind_open(run->pid);
	if (!run->unwinder)
		return fail("reading the memory map of process %d: %s", run->pid, strerror(errno));
	run->symbols = symbols_of_process(run->pid);
	run->live.pid = run->pid;
	run->live.look = !run->all;
	status = show(run);
	unwind_close(run->unwinder);
	symbols_free(run->symbols);
	live_close(&run->live);
	return status;
}

static int run_stack(int argc, char **argv)
{
	static const struct option longs[] = {{"all", no_argument, NULL, 'a'},
					      {"ptrace", no_argument, NULL, 'p'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	struct stack_run run = {.pid = 0};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":ah", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_stack);
		else if (option == 'a')
			run.all = true;
		else if (option == 'p')
			run.stop = true;
		else
			return usage_error(&command_stack, "unknown option '%s'", argv[optind - 1]);
	}
	if (argc - optind != 1)
		return usage_error(&command_stack, argc == optind ? "no process id given"
								  : "give only one process");
	run.pid = kernel_pid(argv[optind]);
	if (!run.pid)
		return usage_error(&command_stack, "'%s' is not a process id", argv[optind]);
	return open_and_print(&run);
}

const struct command command_stack = {
	.name = "stack",
	.arguments = "[OPTIONS] PID",
	.summary = "show where in the code a process's handshakes are, without stopping it",
	.help = "  -a, --all   show every thread of the process\n"
		"  --ptrace    stop each thread for a moment: shows running threads too, and "
		"stacks\n"
		"              that cannot be read otherwise; system calls may return EINTR\n"
		"  -h, --help  print this help\n",
	.run = run_stack,
};
