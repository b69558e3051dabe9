/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that exchange the signal mask without sigprocmask(): those that wait with a mask of their
 * own, during which handlers run, and jumps to where another mask was in force. SIGBUS is blocked by
 * the one or the other, and the program truncates its trace. argv[1] selects the function.
 */
#include "cut.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <ucontext.h>

static sigset_t all, none, all_but_usr1, before;
static bool cuts;

static void in_handler(int sig)
{
	(void)sig;
	if (cuts)
		cut_off();
	handshake("in the handler");
	if (cuts)
		cut_off();
	handshake("again");
}

/* ---- waiting --------------------------------------------------------------------------- */

static const struct timespec second = {.tv_sec = 1};

static int by_sigsuspend(const sigset_t *mask)
{
	return sigsuspend(mask);
}

static int by_ppoll(const sigset_t *mask)
{
	struct pollfd nothing = {.fd = -1};

	return ppoll(&nothing, 1, &second, mask);
}

extern int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
		       size_t size);

static int by_checked_ppoll(const sigset_t *mask)
{
	struct pollfd nothing = {.fd = -1};

	return __ppoll_chk(&nothing, 1, &second, mask, sizeof(nothing));
}

static int by_pselect(const sigset_t *mask)
{
	return pselect(0, NULL, NULL, NULL, &second, mask);
}

static int by_epoll_pwait(const sigset_t *mask)
{
	struct epoll_event event;
	int fd = epoll_create1(0), saved, result = epoll_pwait(fd, &event, 1, 1000, mask);

	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

extern int epoll_pwait2(int, struct epoll_event *, int, const struct timespec *, const sigset_t *)
	__attribute__((weak));

/* The library or the kernel may lack it. */
static int by_epoll_pwait2(const sigset_t *mask)
{
	struct epoll_event event;
	int fd = epoll_create1(0), saved, result;

	errno = ENOSYS;
	result = epoll_pwait2 ? epoll_pwait2(fd, &event, 1, &second, mask) : -1;
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

static void blocked_while_waiting(int (*wait)(const sigset_t *))
{
	int result;

	cuts = true;
	NEED(!raise(SIGUSR1));
	errno = 0;
	result = wait(&all_but_usr1);
	printf("%d, errno %d\n", result, errno);
	handshake("after the wait");
	cut_off();
	handshake("on what was cut off");
}

static void open_while_waiting(int (*wait)(const sigset_t *))
{
	cuts = false;
	NEED(!sigprocmask(SIG_SETMASK, &all, NULL) && !raise(SIGUSR1));
	printf("%d, errno %d\n", wait(&none), errno);
	cut_off();
	handshake("on what was cut off");
	NEED(!sigprocmask(SIG_SETMASK, &before, NULL));
	cut_off();
	handshake("unblocked");
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* That of BSD, whose masks are words of bits, and that of System V, which takes a signal. */
extern int __sigpause(int sig_or_mask, int is_sig);

static int by_sigpause(const sigset_t *mask)
{
	int bits = 0;

	for (int sig = 1; sig < 32; sig++)
		bits |= (int)((unsigned)sigismember(mask, sig) << (sig - 1));
	return __sigpause(bits, 0);
}

static void on_bus(int sig)
{
	in_handler(sig);
}

static void by_sigpause_for_one(void)
{
	NEED(signal(SIGBUS, on_bus) == SIG_DFL);
	NEED(!sigprocmask(SIG_SETMASK, &all, NULL) && !raise(SIGBUS));
	handshake("blocked");
	printf("%d\n", sigpause(SIGBUS));
	cut_off();
	handshake("on what was cut off");
}
#pragma GCC diagnostic pop

/* ---- jumping ------------------------------------------------------------------------------ */

static void show(const char *when)
{
	sigset_t now;

	NEED(!sigprocmask(SIG_BLOCK, NULL, &now));
	printf("%s: SIGBUS %d\n", when, sigismember(&now, SIGBUS));
}

static sigjmp_buf place;

static void jump_there(int how)
{
	NEED(!sigprocmask(SIG_SETMASK, &none, NULL));
	handshake("unblocked");
	if (how)
		siglongjmp(place, 1);
	longjmp(place, 1);
}

static void by_longjmp(int how)
{
	static volatile int times;

	times = 0;
	NEED(!sigprocmask(SIG_SETMASK, &all, NULL));
	if (sigsetjmp(place, 1) == 0 || times < 2) {
		times++;
		jump_there(how);
	}
	show("after the jump");
	cut_off();
	handshake("on what was cut off");
}

static ucontext_t there, here;
static char stack[256 << 10];

static void on_other_stack(void)
{
	for (;;) {
		show("on the other stack");
		cut_off();
		handshake("on the other stack");
		NEED(!swapcontext(&there, &here));
	}
}

/* One context blocks SIGBUS, the other one does not. */
static void by_swapcontext(const sigset_t *mine, const sigset_t *other)
{
	NEED(!sigprocmask(SIG_SETMASK, mine, NULL) && !getcontext(&there));
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = sizeof(stack);
	there.uc_sigmask = *other;
	makecontext(&there, on_other_stack, 0);
	handshake("here");
	for (int i = 0; i < 3; i++) {
		NEED(!swapcontext(&here, &there));
		show("here");
		cut_off();
		handshake("here");
	}
}

static void by_setcontext(void)
{
	static volatile bool back;

	back = false;
	NEED(!sigprocmask(SIG_SETMASK, &all, NULL) && !getcontext(&here));
	if (!back) {
		back = true;
		NEED(!sigprocmask(SIG_SETMASK, &none, NULL));
		handshake("unblocked");
		setcontext(&here);
	}
	show("set back");
	cut_off();
	handshake("on what was cut off");
}

static const struct {
	const char *name;
	int (*wait)(const sigset_t *);
} waits[] = {
	{"sigsuspend", by_sigsuspend},	  {"ppoll", by_ppoll},	     {"checked_ppoll", by_checked_ppoll},
	{"pselect", by_pselect},	  {"epoll_pwait", by_epoll_pwait}, {"epoll_pwait2", by_epoll_pwait2},
	{"sigpause", by_sigpause},
};

static void run(const char *name)
{
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		if (!strcmp(name, waits[i].name)) {
			blocked_while_waiting(waits[i].wait);
			open_while_waiting(waits[i].wait);
		}
	}
	if (!strcmp(name, "sigpause_for_one"))
		by_sigpause_for_one();
	if (!strcmp(name, "longjmp"))
		by_longjmp(0);
	if (!strcmp(name, "siglongjmp"))
		by_longjmp(1);
	if (!strcmp(name, "setcontext"))
		by_setcontext();
	if (!strcmp(name, "swapcontext")) {
		by_swapcontext(&none, &all);
		by_swapcontext(&all, &none);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = in_handler};

	NEED(argc == 2);
	sigfillset(&all);
	sigemptyset(&none);
	all_but_usr1 = all;
	sigdelset(&all_but_usr1, SIGUSR1);
	NEED(!sigaction(SIGUSR1, &action, NULL));
	sigaddset(&before, SIGUSR1);
	NEED(!sigprocmask(SIG_SETMASK, &before, NULL));
	handshake("first");
	run(argv[1]);
	show("at last");
	return 0;
}
