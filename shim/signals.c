/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever the program asks or sets about SIGBUS is answered as if the shim had no handler;
 * everything else is passed on unchanged.
 */
#include <errno.h>
#include <stdbool.h>

#include "guard.h"
#include "signals_real.h"

#define EXPORT __attribute__((visibility("default")))
/* libc's headers no longer declare some of these, and warn about others. */
#define SIGNAL_FUNCTION(name, result, arguments) EXPORT result name arguments;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include "signals.def"
#pragma GCC diagnostic pop

/* ---- dispositions ------------------------------------------------------------------------ */

static inline bool is_guarded(int sig)
{
	return __builtin_expect(sig == SIGBUS, 0) && guard_is_on();
}

/*
 * While a handler that blocks SIGBUS runs, a SIGBUS of ours would kill the program. SIGBUS is
 * therefore removed from the handler's mask, but the program still sees it there.
 */
static bool seems_to_block[NSIG];

/* The dispositions of a child by vfork are its own, but not this memory. */
static void note_mask(int sig, bool blocks)
{
	if (__atomic_load_n(&seems_to_block[sig], __ATOMIC_RELAXED) != blocks && guard_is_own())
		__atomic_store_n(&seems_to_block[sig], blocks, __ATOMIC_RELAXED);
}

static int set_other(__typeof__(&sigaction) set, int sig, const struct sigaction *act,
		     struct sigaction *old)
{
	bool seemed, blocks;
	struct sigaction action;
	int result;

	if (sig <= 0 || sig >= NSIG)
		return set(sig, act, old);
	seemed = __atomic_load_n(&seems_to_block[sig], __ATOMIC_RELAXED);
	blocks = act && sigismember(&act->sa_mask, SIGBUS) == 1;
	if (blocks) {
		action = *act;
		sigdelset(&action.sa_mask, SIGBUS);
		act = &action;
	}
	result = set(sig, act, old);
	if (!result && act)
		note_mask(sig, blocks);
	if (!result && old && seemed)
		sigaddset(&old->sa_mask, SIGBUS);
	return result;
}

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (is_guarded(sig))
		return guard_sigaction(act, old);
	if (sig == SIGBUS)
		return signals_real()->sigaction(sig, act, old);
	return set_other(signals_real()->sigaction, sig, act, old);
}

int __sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (is_guarded(sig))
		return guard_sigaction(act, old);
	if (sig == SIGBUS)
		return signals_real()->__sigaction(sig, act, old);
	return set_other(signals_real()->__sigaction, sig, act, old);
}

/* These functions install handlers of other signals without a mask of the program's. */
static sighandler_t set_plain(int sig, sighandler_t before)
{
	if (before != SIG_ERR && sig > 0 && sig < NSIG)
		note_mask(sig, false);
	return before;
}

static sighandler_t set(sighandler_t handler, int flags, bool defer)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&action.sa_mask);
	if (defer)
		sigaddset(&action.sa_mask, SIGBUS);
	return guard_sigaction(&action, &old) ? SIG_ERR : old.sa_handler;
}

/* What siginterrupt() has said about SIGBUS. */
static int restarts = SA_RESTART;

/*
 * BSD semantics: the handler stays installed, SIGBUS is blocked while it runs,
 * and interrupted calls are restarted.
 */
#define BSD_SIGNAL(name) \
	sighandler_t name(int sig, sighandler_t handler) \
	{ \
		return is_guarded(sig) ? set(handler, restarts, true) \
				       : set_plain(sig, signals_real()->name(sig, handler)); \
	}
BSD_SIGNAL(signal)
BSD_SIGNAL(bsd_signal)
BSD_SIGNAL(ssignal)

/*
 * System V semantics: the handler is reset when it is called, and SIGBUS is not blocked meanwhile.
 */
#define SYSV_SIGNAL(name) \
	sighandler_t name(int sig, sighandler_t handler) \
	{ \
		return is_guarded(sig) ? set(handler, SA_RESETHAND | SA_NODEFER, false) \
				       : set_plain(sig, signals_real()->name(sig, handler)); \
	}
SYSV_SIGNAL(sysv_signal)
SYSV_SIGNAL(__sysv_signal)

static bool change_mask(int how)
{
	sigset_t bus, before;

	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	sigprocmask(how, &bus, &before);
	return sigismember(&before, SIGBUS);
}

static sighandler_t set_or_hold(sighandler_t handler)
{
	struct sigaction now;
	sighandler_t before;

	if (handler != SIG_HOLD) {
		before = set(handler, 0, false);
		return change_mask(SIG_UNBLOCK) ? SIG_HOLD : before;
	}
	guard_sigaction(NULL, &now);
	return change_mask(SIG_BLOCK) ? SIG_HOLD : now.sa_handler;
}

sighandler_t sigset(int sig, sighandler_t handler)
{
	sighandler_t before;

	if (is_guarded(sig))
		return set_or_hold(handler);
	before = signals_real()->sigset(sig, handler);
	return handler == SIG_HOLD ? before : set_plain(sig, before);
}

int sigignore(int sig)
{
	int result;

	if (is_guarded(sig))
		return set(SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
	result = signals_real()->sigignore(sig);
	set_plain(sig, result ? SIG_ERR : SIG_IGN);
	return result;
}

int siginterrupt(int sig, int interrupt)
{
	struct sigaction action;
	int result = signals_real()->siginterrupt(sig, interrupt);

	if (result || sig != SIGBUS)
		return result;
	restarts = interrupt ? 0 : SA_RESTART;
	if (!guard_is_on())
		return 0;
	guard_sigaction(NULL, &action);
	action.sa_flags = (action.sa_flags & ~SA_RESTART) | restarts;
	return guard_sigaction(&action, NULL);
}

/* ---- masks ------------------------------------------------------------------------------- */

static bool blocks(int how, const sigset_t *set)
{
	return how != SIG_UNBLOCK && sigismember(set, SIGBUS) == 1;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	if (set)
		guard_mask_changed(blocks(how, set));
	return signals_real()->sigprocmask(how, set, old);
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	if (set)
		guard_mask_changed(blocks(how, set));
	return signals_real()->pthread_sigmask(how, set, old);
}

/* BSD's masks are words of bits. */
static bool has_bus(int mask)
{
	return mask >> (SIGBUS - 1) & 1;
}

int sigblock(int mask)
{
	guard_mask_changed(has_bus(mask));
	return signals_real()->sigblock(mask);
}

int sigsetmask(int mask)
{
	guard_mask_changed(has_bus(mask));
	return signals_real()->sigsetmask(mask);
}

int sighold(int sig)
{
	guard_mask_changed(sig == SIGBUS);
	return signals_real()->sighold(sig);
}

int sigrelse(int sig)
{
	guard_mask_changed(false);
	return signals_real()->sigrelse(sig);
}

/* ---- detaching --------------------------------------------------------------------------- */

void signals_give_back(void)
{
	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction action;

		if (!seems_to_block[sig] || signals_real()->sigaction(sig, NULL, &action))
			continue;
		sigaddset(&action.sa_mask, SIGBUS);
		signals_real()->sigaction(sig, &action, NULL);
		seems_to_block[sig] = false;
	}
}
