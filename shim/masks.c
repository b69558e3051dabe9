/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guard.h remembers of the thread's mask does not hold while one of these functions waits with
 * another one, for the handlers that run meanwhile, nor after a jump to where another one was in
 * force. Masks are not changed.
 */
#include "masks.h"

#include <errno.h>
#include <stdbool.h>

#include "guard.h"
#include "signals_real.h"
#include "system.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* Linux 5.11 */
#endif

static inline bool has_bus(const sigset_t *set)
{
	return sigismember(set, SIGBUS) == 1;
}

/* False: there is no other mask, or SIGBUS is open before and after. */
static inline bool exchanges(bool other, bool blocks)
{
	if (!other || (!blocks && guard_mask == GUARD_OPEN))
		return false;
	guard_mask_changed(blocks);
	return true;
}

/* ---- waiting ---------------------------------------------------------------------------- */

/* A handler may have asked for the mask of the wait. */
static int returned(int result)
{
	guard_mask = GUARD_UNKNOWN;
	return result;
}

#define WAIT(name, parameters, arguments, ...)                                                     \
	int mask_##name parameters                                                                 \
	{                                                                                          \
		__typeof__(&mask_##name) real = signals_real()->name;                              \
                                                                                                   \
		return exchanges(__VA_ARGS__) ? returned(real arguments) : real arguments;         \
	}
#define WITH(set) (set), (set) && has_bus(set)
#define IN_WORD(mask) ((mask) >> (SIGBUS - 1) & 1)

WAIT(sigsuspend, (const sigset_t *set), (set), WITH(set))
WAIT(__sigsuspend, (const sigset_t *set), (set), WITH(set))
WAIT(sigpause, (int mask), (mask), true, IN_WORD(mask))
/* These let one signal through, and otherwise wait with the mask of now. */
WAIT(__xpg_sigpause, (int sig), (sig), true, false)
WAIT(__sigpause, (int value, int is_sig), (value, is_sig), true, !is_sig && IN_WORD(value))
WAIT(ppoll, (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *set),
     (fds, count, timeout, set), WITH(set))
WAIT(__ppoll_chk,
     (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *set, size_t size),
     (fds, count, timeout, set, size), WITH(set))
WAIT(pselect,
     (int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout, const sigset_t *set),
     (count, in, out, except, timeout, set), WITH(set))
WAIT(epoll_pwait, (int fd, struct epoll_event *events, int most, int timeout, const sigset_t *set),
     (fd, events, most, timeout, set), WITH(set))

/* glibc has it since 2.35: a program that does without it may find ours. */
static int wait_in_kernel(int fd, struct epoll_event *events, int most, const struct timespec *timeout,
			  const sigset_t *set)
{
	return (int)system_call(SYS_epoll_pwait2, fd, events, most, timeout, set, 8);
}

int mask_epoll_pwait2(int fd, struct epoll_event *events, int most, const struct timespec *timeout,
		      const sigset_t *set)
{
	__typeof__(&wait_in_kernel) real = signals_real()->epoll_pwait2;

	if (!real)
		real = wait_in_kernel;
	return exchanges(WITH(set)) ? returned(real(fd, events, most, timeout, set))
				    : real(fd, events, most, timeout, set);
}

/* ---- jumping ------------------------------------------------------------------------------ */

int mask_setcontext(const ucontext_t *to)
{
	exchanges(true, has_bus(&to->uc_sigmask));
	return signals_real()->setcontext(to);
}

int mask_swapcontext(ucontext_t *from, const ucontext_t *to)
{
	exchanges(true, has_bus(&to->uc_sigmask));
	return signals_real()->swapcontext(from, to);
}

#define JUMP(name)                                                                                 \
	void mask_##name(struct __jmp_buf_tag *to, int value)                                      \
	{                                                                                          \
		if (to->__mask_was_saved)                                                          \
			exchanges(true, has_bus(&to->__saved_mask));                                     \
		signals_real()->name(to, value);                                                   \
	}
JUMP(longjmp)
JUMP(_longjmp)
JUMP(siglongjmp)
JUMP(__longjmp_chk)
