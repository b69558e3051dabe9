/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever happens to us, the thread goes on. It stays as it was until one call sets all its
 * registers, and from then on the stub restores them by itself. If the tracer dies, the kernel
 * releases its threads. Only if the child here is killed between stopping the thread (which takes
 * longer on a busy machine) and setting its registers may a call that is never restarted
 * (epoll_wait) return EINTR.
 */
#include "attach/aside.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/apart.h"
#include "attach/stub.h"
#include "now.h"

#if ATTACH_STUB_EXISTS

/* The kernel's values in an interrupted thread; user space never sees the first three. */
#define RESTARTSYS 512
#define RESTARTNOINTR 513
#define RESTARTNOHAND 514
#define RESTART_RESTARTBLOCK 516

#define SYSCALL_SIZE 2 /* bytes of the instruction */

/*
 * Resumes the system call as the kernel would now. Calls that would return EINTR are resumed, too.
 */
static void take_up_again(struct user_regs_struct *regs)
{
	switch (-(long)regs->rax) {
	case RESTART_RESTARTBLOCK:
		regs->rax = SYS_restart_syscall;
		break;
	case RESTARTSYS:
	case RESTARTNOINTR:
	case RESTARTNOHAND:
	case EINTR:
		regs->rax = regs->orig_rax;
		break;
	default:
		return; /* the call has just returned */
	}
	regs->rip -= SYSCALL_SIZE;
}

static bool is_there(const struct user_regs_struct *regs, const struct thread_place *place)
{
	return regs->rip == place->pc && regs->rsp == place->sp &&
	       (long)regs->orig_rax == place->number;
}

static enum aside set_off(const struct program *program, const struct waiting *waiting,
			  uint64_t code, const struct stub_words *words)
{
	struct user_regs_struct regs;
	struct iovec io = {&regs, sizeof(regs)};
	struct stub_words mine = *words;

	if (ptrace(PTRACE_GETREGSET, waiting->tid, (void *)NT_PRSTATUS, &io))
		return ASIDE_REFUSED;
	if (!is_there(&regs, &waiting->place))
		return ASIDE_MOVED;
	take_up_again(&regs);
	mine.sp = regs.rsp;
	mine.pc = regs.rip;
	mine.mask = ~0ull;
	if (!program_write(program, code, &mine, sizeof(mine)))
		return ASIDE_REFUSED;
	regs.rip = code + (uint64_t)(attach_stub_entry - __start_attach_stub);
	regs.rsp = (regs.rsp - STUB_RED_ZONE) & ~63ull;
	regs.orig_rax = ~0ull; /* the kernel must not restart a call */
	return ptrace(PTRACE_SETREGSET, waiting->tid, (void *)NT_PRSTATUS, &io) ? ASIDE_REFUSED
									     : ASIDE_DONE;
}

/* A thread that somebody else stopped stays so. A signal that came meanwhile is passed on. */
static enum aside stop_and_set_off(const struct program *program, const struct waiting *waiting,
				   uint64_t code, const struct stub_words *words)
{
	enum aside result = ASIDE_MOVED;
	int status = 0, passed = 0;

	if (ptrace(PTRACE_INTERRUPT, waiting->tid, NULL, NULL) ||
	    waitpid(waiting->tid, &status, __WALL) != waiting->tid)
		return ASIDE_REFUSED;
	if (!WIFSTOPPED(status))
		return ASIDE_MOVED;
	if (status >> 16 != PTRACE_EVENT_STOP)
		passed = WSTOPSIG(status);
	else if (WSTOPSIG(status) != SIGTRAP)
		result = ASIDE_STOPPED;
	else
		result = set_off(program, waiting, code, words);
	ptrace(PTRACE_DETACH, waiting->tid, NULL, (void *)(uintptr_t)passed);
	return result;
}

struct told {
	enum aside result;
	int error;
	uint64_t stopped_ns;
};

struct errand_aside {
	const struct program *program;
	const struct waiting *waiting;
	uint64_t code;
	const struct stub_words *words;
};

static void lead(const void *context, void *shared)
{
	const struct errand_aside *a = context;
	struct told *told = shared;
	uint64_t since;

	if (ptrace(PTRACE_SEIZE, a->waiting->tid, NULL, NULL)) {
		told->error = errno;
		told->result = ASIDE_REFUSED;
		return;
	}
	since = now_ns(CLOCK_MONOTONIC);
	told->result = stop_and_set_off(a->program, a->waiting, a->code, a->words);
	told->error = errno;
	told->stopped_ns = now_ns(CLOCK_MONOTONIC) - since;
}

enum aside aside_lead(const struct program *program, const struct waiting *waiting, uint64_t code,
		      const struct stub_words *words, uint64_t *stopped_ns)
{
	struct errand_aside context = {program, waiting, code, words};
	struct told told = {.result = ASIDE_UNKNOWN, .error = EAGAIN};

	apart_run(lead, &context, &told, sizeof(told));
	*stopped_ns = told.stopped_ns;
	errno = told.error;
	return told.result;
}

#else

enum aside aside_lead(const struct program *program, const struct waiting *waiting, uint64_t code,
		      const struct stub_words *words, uint64_t *stopped_ns)
{
	(void)program, (void)waiting, (void)code, (void)words, (void)stopped_ns;
	errno = ENOSYS;
	return ASIDE_REFUSED;
}

#endif
