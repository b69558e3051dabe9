/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running thread is stopped where it is. A waiting one is stopped in its system call, which must
 * be one that can continue afterwards: see waits.def. The kernel resumes what it can. For calls
 * that would return EINTR, the registers are set to repeat the call, unless a signal has come for
 * which the program has a handler: then EINTR is correct.
 */
#include "attach/still.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/apart.h"
#include "attach/obstacles.h"
#include "attach/stub.h"
#include "attach/waiting.h"
#include "kernel/kernel.h"
#include "kernel/thread.h"
#include "look/memory.h"
#include "now.h"

#if ATTACH_STUB_EXISTS

#define THREADS 1024
/* How long to wait for a thread that cannot be interrupted (vfork, a slow disk). */
#define PATIENCE_NS 100000000ull
#define SYSCALL_SIZE 2 /* bytes of the instruction */
/* A signal handler needs at most about this much stack between its frame and the stack pointer. */
#define STACK_READ (256u << 10)
#define RED_ZONE 128u

struct thread {
	pid_t tid;
	bool interrupted, stopped;
	int signal; /* that it was about to get */
	struct user_regs_struct regs;
};

struct still {
	const struct program *program;
	struct thread list[THREADS];
	unsigned count;
	uint64_t since;
};

/* ---- stopping ------------------------------------------------------------------------ */

static enum aside fits(const struct still *s, pid_t tid, const char **what)
{
	struct thread_place place;

	thread_look(s->program->pid, tid, &place);
	if (place.where == THREAD_RUNNING || place.where == THREAD_GONE ||
	    waiting_resumes(&place))
		return ASIDE_DONE;
	*what = "waits in a system call that cannot be resumed";
	return place.state == 'T' ? ASIDE_STOPPED : ASIDE_MOVED;
}

static bool is_known(const struct still *s, pid_t tid)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->list[i].tid == tid)
			return true;
	}
	return false;
}

static enum aside seize(struct still *s, pid_t tid, const char **what)
{
	struct thread_place place;

	if (s->count == THREADS) {
		*what = "is one of too many";
		return ASIDE_MOVED;
	}
	if (!ptrace(PTRACE_SEIZE, tid, NULL, NULL)) {
		s->list[s->count++] = (struct thread){.tid = tid};
		return ASIDE_DONE;
	}
	thread_look(s->program->pid, tid, &place);
	return place.where == THREAD_GONE ? ASIDE_DONE : ASIDE_REFUSED;
}

/* Calls the function for each thread that is not known yet. */
static enum aside each_new(struct still *s, const char **what,
			   enum aside (*one)(struct still *s, pid_t tid, const char **what))
{
	enum aside result = ASIDE_DONE;
	struct dirent *entry;
	char path[40];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", s->program->pid);
	tasks = opendir(path);
	if (!tasks)
		return ASIDE_REFUSED;
	while (result == ASIDE_DONE && (entry = readdir(tasks))) {
		pid_t tid = kernel_pid(entry->d_name);

		if (tid && !is_known(s, tid))
			result = one(s, tid, what);
	}
	closedir(tasks);
	return result;
}

static enum aside check_one(struct still *s, pid_t tid, const char **what)
{
	return fits(s, tid, what);
}

static enum aside interrupt_new(struct still *s, const char **what)
{
	enum aside result = ASIDE_DONE;

	for (unsigned i = 0; i < s->count && result == ASIDE_DONE; i++) {
		struct thread *t = &s->list[i];

		if (t->interrupted)
			continue;
		/* checked once more, at the last moment */
		result = fits(s, t->tid, what);
		if (result == ASIDE_DONE)
			t->interrupted = !ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
	}
	return result;
}

/* Returns false if the thread has ended. */
static bool note_stop(struct thread *t, int status, enum aside *result)
{
	struct iovec io = {&t->regs, sizeof(t->regs)};

	if (!WIFSTOPPED(status))
		return false;
	t->stopped = true;
	if (status >> 16 != PTRACE_EVENT_STOP)
		t->signal = WSTOPSIG(status);
	else if (WSTOPSIG(status) != SIGTRAP)
		*result = ASIDE_STOPPED;
	if (ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_PRSTATUS, &io))
		*result = ASIDE_REFUSED;
	return true;
}

/*
 * A thread that is about to stop must be awaited: if it were released earlier, its call would
 * return EINTR. Only one in an uninterruptible wait (state D) is given up, after PATIENCE_NS.
 */
static bool is_out_of_reach(const struct still *s, const struct thread *t)
{
	struct thread_place place;

	if (now_ns(CLOCK_MONOTONIC) - s->since < PATIENCE_NS)
		return false;
	thread_look(s->program->pid, t->tid, &place);
	return place.state == 'D';
}

static enum aside await_one(const struct still *s, struct thread *t, const char **what)
{
	const struct timespec moment = {.tv_nsec = 20000};
	enum aside result = ASIDE_DONE;
	int status;

	for (;;) {
		pid_t got = waitpid(t->tid, &status, __WALL | WNOHANG);

		if (got == t->tid && note_stop(t, status, &result))
			return result;
		if (got)
			break;
		if (is_out_of_reach(s, t)) {
			*what = "does not stop";
			return ASIDE_MOVED;
		}
		nanosleep(&moment, NULL);
	}
	/* it has ended, so it never stops, and is not looked at */
	return ASIDE_DONE;
}

static enum aside await_new(struct still *s, const char **what)
{
	enum aside result = ASIDE_DONE;

	/* all of them, since each must be released from where it has stopped */
	for (unsigned i = 0; i < s->count; i++) {
		struct thread *t = &s->list[i];
		enum aside one = ASIDE_DONE;

		if (t->interrupted && !t->stopped)
			one = await_one(s, t, what);
		if (result == ASIDE_DONE)
			result = one;
	}
	return result;
}

/* A stopped thread makes no more threads: the search ends when a round finds none. */
static enum aside stop_all(struct still *s, const char **what)
{
	enum aside result = each_new(s, what, check_one), stopped;
	unsigned before;

	s->since = now_ns(CLOCK_MONOTONIC);
	do {
		before = s->count;
		if (result == ASIDE_DONE)
			result = each_new(s, what, seize);
		if (result == ASIDE_DONE)
			result = interrupt_new(s, what);
		stopped = await_new(s, what);
		if (result == ASIDE_DONE)
			result = stopped;
	} while (result == ASIDE_DONE && s->count != before);
	return result;
}

/* ---- letting go ---------------------------------------------------------------------- */

static uint64_t mask_of(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

/* Whether a signal has come for it for which the program has a handler. */
static bool has_signal(const struct still *s, const struct thread *t)
{
	char path[64], status[4096];
	uint64_t come, caught;
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", s->program->pid, t->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, status, sizeof(status) - 1);
		close(fd);
	}
	if (got <= 0)
		return true;
	status[got] = '\0';
	come = mask_of(status, "\nSigPnd:\t") | mask_of(status, "\nShdPnd:\t");
	come &= ~mask_of(status, "\nSigBlk:\t");
	if (t->signal)
		come |= 1ull << (t->signal - 1);
	caught = mask_of(status, "\nSigCgt:\t");
	return come & caught;
}

static void make_call_again(const struct still *s, struct thread *t)
{
	static const uint8_t syscall_code[SYSCALL_SIZE] = {0x0f, 0x05};
	struct user_regs_struct *regs = &t->regs;
	struct iovec io = {regs, sizeof(*regs)};
	uint8_t code[SYSCALL_SIZE];

	if ((long)regs->rax != -EINTR || !waiting_is_resumed((long)regs->orig_rax) ||
	    !memory_read(s->program->memory, regs->rip - sizeof(code), code, sizeof(code)) ||
	    memcmp(code, syscall_code, sizeof(code)) || has_signal(s, t))
		return;
	regs->rax = regs->orig_rax;
	regs->rip -= SYSCALL_SIZE;
	ptrace(PTRACE_SETREGSET, t->tid, (void *)NT_PRSTATUS, &io);
}

static void let_go(struct still *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		struct thread *t = &s->list[i];

		if (!t->stopped)
			continue;
		make_call_again(s, t);
		ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(uintptr_t)t->signal);
	}
}

/* ---- what they are at ----------------------------------------------------------------- */

/* A handler's frame contains the address that it returns to. */
static bool stack_holds(const struct still *s, uint64_t sp, uint64_t *words,
			bool (*is_one)(uint64_t address, const void *context), uint64_t least,
			uint64_t most, const void *context)
{
	ssize_t got;

	sp = (sp - RED_ZONE) & ~7ull;
	got = pread(s->program->memory, words, STACK_READ, (off_t)sp);
	for (ssize_t i = 0; i < got / 8; i++) {
		if (words[i] - least <= most - least && is_one(words[i], context))
			return true;
	}
	return got < 0;
}

bool still_holds(const struct still *still, bool (*is_one)(uint64_t address, const void *context),
		 uint64_t least, uint64_t most, const void *context)
{
	uint64_t *words = malloc(STACK_READ);
	bool holds = !words;

	for (unsigned i = 0; i < still->count && !holds; i++) {
		const struct thread *t = &still->list[i];

		if (t->stopped)
			holds = is_one(t->regs.rip, context) ||
				stack_holds(still, t->regs.rsp, words, is_one, least, most,
					    context);
	}
	free(words);
	return holds;
}

/* ---- all of it ---------------------------------------------------------------------------- */

struct told {
	enum aside result;
	int error;
	uint64_t stopped_ns;
	const char *what;
};

struct job {
	const struct program *program;
	still_work *work;
	const void *context;
};

static void stop_and_work(const void *context, void *shared)
{
	const struct job *job = context;
	struct told *told = shared;
	struct still *s = calloc(1, sizeof(*s));

	if (!s)
		return;
	s->program = job->program;
	told->result = stop_all(s, &told->what);
	if (told->result == ASIDE_DONE)
		told->result = job->work(s, job->program, job->context, &told->what);
	told->error = errno;
	let_go(s);
	told->stopped_ns = now_ns(CLOCK_MONOTONIC) - s->since;
	free(s);
}

enum aside still_run(const struct program *program, still_work *work, const void *context,
		     uint64_t *stopped_ns, const char **what)
{
	struct job job = {program, work, context};
	struct told told = {.result = ASIDE_REFUSED, .error = EAGAIN, .what = *what};

	apart_run(stop_and_work, &job, &told, sizeof(told));
	*stopped_ns = told.stopped_ns;
	*what = told.what;
	errno = told.error;
	return told.result;
}

#else

bool still_holds(const struct still *still, bool (*is_one)(uint64_t address, const void *context),
		 uint64_t least, uint64_t most, const void *context)
{
	(void)still, (void)is_one, (void)least, (void)most, (void)context;
	return true;
}

enum aside still_run(const struct program *program, still_work *work, const void *context,
		     uint64_t *stopped_ns, const char **what)
{
	(void)program, (void)work, (void)context, (void)stopped_ns, (void)what;
	errno = ENOSYS;
	return ASIDE_REFUSED;
}

#endif
