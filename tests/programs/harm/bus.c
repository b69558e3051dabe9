/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGBUS belongs to the program, although a truncated trace raises it: the program reads back the
 * disposition and mask that it set, and its handler is called as without the shim. The program
 * itself truncates all traces in $TLSTALL_DIR. argv[1] selects the case.
 */
#include "cut.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- shared parts ----------------------------------------------------------------------- */

/* A page of our own file that no longer exists. */
static volatile char *own_hole(void)
{
	FILE *file = tmpfile();
	char *page;

	NEED(file && !ftruncate(fileno(file), 4096));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	NEED(page != MAP_FAILED && !ftruncate(fileno(file), 0));
	fclose(file);
	return page;
}

static volatile char *hole;
static sigjmp_buf back;
static char other_stack[65536];

static bool is_blocked(int sig)
{
	sigset_t now;

	NEED(!pthread_sigmask(SIG_BLOCK, NULL, &now));
	return sigismember(&now, sig);
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	char *here = (char *)&sig;

	(void)context;
	printf("handler: %s, code %d, %s, on %s stack, SIGBUS %s, SIGUSR1 %s\n",
	       sig == SIGBUS ? "SIGBUS" : "another", info->si_code,
	       info->si_code <= 0 ? "sent" : info->si_addr == hole ? "in the hole" : "elsewhere",
	       here >= other_stack && here < other_stack + sizeof(other_stack) ? "the other" : "this",
	       is_blocked(SIGBUS) ? "blocked" : "open", is_blocked(SIGUSR1) ? "blocked" : "open");
	fflush(stdout);
	if (info->si_code > 0)
		siglongjmp(back, 1);
}

static void on_plain(int sig)
{
	printf("plain handler: %d\n", sig);
}

static struct sigaction our_action(int flags)
{
	struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | flags};

	sigaddset(&action.sa_mask, SIGUSR1);
	return action;
}

static void fall_into_hole(void)
{
	hole = own_hole();
	if (!sigsetjmp(back, 1))
		*hole = 1;
	puts("out of the hole");
}

static const char *name_of(const struct sigaction *action)
{
	if (action->sa_handler == SIG_DFL)
		return "default";
	if (action->sa_handler == SIG_IGN)
		return "ignored";
	if (action->sa_handler == on_plain)
		return "on_plain";
	return action->sa_sigaction == on_bus ? "on_bus" : "another";
}

static void show(const char *when)
{
	struct sigaction now;

	NEED(!sigaction(SIGBUS, NULL, &now));
	printf("%s: %s, flags %#x, SIGUSR1 %d, SIGBUS %d, SIGKILL %d\n", when, name_of(&now),
	       (unsigned)now.sa_flags, sigismember(&now.sa_mask, SIGUSR1),
	       sigismember(&now.sa_mask, SIGBUS), sigismember(&now.sa_mask, SIGKILL));
	fflush(stdout);
}

/* ---- the cases ---------------------------------------------------------------------------- */

static void at_once(void)
{
	struct pair pairs[4];

	for (int i = 0; i < 4; i++) {
		pairs[i] = bio_pair(0);
		NEED(finish(&pairs[i]));
	}
	for (int i = 0; i < 4; i++)
		pair_free(&pairs[i]);
}

/* The last handshake hangs until standard input ends. */
static void plain(void)
{
	struct pair pair;

	for (int i = 0; i < 5; i++) {
		at_once();
		cut_off();
		handshake("on what was cut off");
		usleep(120000);
		handshake("later");
	}
	pair = bio_pair(0);
	printf("client %s\n", error_name(step(pair.client)));
	fflush(stdout);
	getchar();
}

static void set_before(int flags)
{
	stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
	struct sigaction action = our_action(flags);

	NEED(!sigaltstack(&stack, NULL) && !sigaction(SIGBUS, &action, NULL));
	handshake("with a handler");
	cut_off();
	handshake("on what was cut off");
	fall_into_hole();
	raise(SIGBUS);
	show("then");
}

static void before(void)
{
	set_before(SA_ONSTACK);
}

static void before_on_this_stack(void)
{
	set_before(SA_NODEFER | SA_RESTART);
}

static void after(void)
{
	struct sigaction action = our_action(0), old;

	handshake("first");
	show("first");
	NEED(!sigaction(SIGBUS, &action, &old));
	printf("it was: %s, flags %#x\n", name_of(&old), (unsigned)old.sa_flags);
	show("set");
	cut_off();
	handshake("on what was cut off");
	fall_into_hole();
	NEED(!sigaction(SIGBUS, &old, &action));
	printf("it was: %s\n", name_of(&action));
	show("set back");
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void interrupting(void)
{
	struct sigaction action = our_action(SA_RESTART);

	handshake("first");
	NEED(!sigaction(SIGBUS, &action, NULL) && !siginterrupt(SIGBUS, 1));
	show("interrupting");
	NEED(signal(SIGBUS, on_plain) != SIG_ERR);
	show("signal");
	NEED(!siginterrupt(SIGBUS, 0));
	show("no longer");
	NEED(signal(SIGBUS, SIG_DFL) == on_plain);
	show("signal");
	cut_off();
	handshake("on what was cut off");
}

/* Each way takes away the mask that sigaction() has set for SIGUSR1. */
static void masks_of_others(void)
{
	sighandler_t (*const ways[])(int, sighandler_t) = {signal, ssignal, sysv_signal, sigset};
	struct sigaction action = {.sa_handler = on_plain}, now;

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		NEED(!sigaction(SIGUSR1, &action, NULL));
		NEED(ways[i] == sigset || ways[i](SIGUSR1, SIG_ERR) == SIG_ERR);
		NEED(!sigaction(SIGUSR1, NULL, &now) && sigismember(&now.sa_mask, SIGBUS));
		NEED(ways[i](SIGUSR1, SIG_IGN) == on_plain && !sigaction(SIGUSR1, NULL, &now));
		printf("%zu: SIGBUS %d\n", i, sigismember(&now.sa_mask, SIGBUS));
	}
	NEED(!sigaction(SIGUSR1, &action, NULL) && !sigignore(SIGUSR1));
	NEED(!sigaction(SIGUSR1, NULL, &now));
	printf("sigignore: SIGBUS %d\n", sigismember(&now.sa_mask, SIGBUS));
}

static void blocked_as_in_bsd(void)
{
	handshake("first");
	sigblock(1 << (SIGBUS - 1));
	cut_off();
	handshake("on what was cut off");
	printf("SIGBUS %d\n", is_blocked(SIGBUS));
	sigsetmask(0);
	handshake("unblocked");
	sigsetmask(~0);
	cut_off();
	handshake("on what was cut off");
	printf("SIGBUS %d\n", is_blocked(SIGBUS));
}
#pragma GCC diagnostic pop

static void by_all_ways(void)
{
	handshake("first");
	NEED(signal(SIGBUS, on_plain) == SIG_DFL);
	show("signal");
	NEED(sysv_signal(SIGBUS, SIG_IGN) == on_plain);
	show("sysv_signal");
	NEED(ssignal(SIGBUS, SIG_DFL) == SIG_IGN);
	show("ssignal");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	NEED(sigset(SIGBUS, on_plain) == SIG_DFL);
	show("sigset");
	NEED(sigset(SIGBUS, SIG_HOLD) == on_plain && is_blocked(SIGBUS));
	NEED(sigset(SIGBUS, SIG_DFL) == SIG_HOLD && !is_blocked(SIGBUS));
	NEED(!sigignore(SIGBUS));
#pragma GCC diagnostic pop
	show("sigignore");
	NEED(signal(SIGBUS, SIG_ERR) == SIG_ERR && errno == EINVAL);
	NEED(signal(SIGUSR1, SIG_IGN) == SIG_DFL && signal(SIGUSR1, SIG_DFL) == SIG_IGN);
	raise(SIGBUS);
	cut_off();
	handshake("with SIGBUS ignored");
	show("then");
}

/* The second SIGBUS kills it. */
static void once(void)
{
	struct sigaction action = our_action((int)SA_RESETHAND);

	handshake("first");
	NEED(!sigaction(SIGBUS, &action, NULL));
	fall_into_hole();
	show("once");
	cut_off();
	handshake("on what was cut off");
	fall_into_hole();
}

static void killed_by_fault(void)
{
	handshake("first");
	fall_into_hole();
}

static void killed_though_ignored(void)
{
	handshake("first");
	signal(SIGBUS, SIG_IGN);
	fall_into_hole();
}

static void killed_by_sending(void)
{
	handshake("first");
	kill(getpid(), SIGBUS);
	pause();
}

static void block_all(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	NEED(!pthread_sigmask(SIG_BLOCK, &all, before));
}

static void show_pending(void)
{
	struct timespec at_once = {0};
	sigset_t pending, bus;
	siginfo_t info;
	int got;

	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	NEED(!sigpending(&pending));
	printf("SIGBUS %s and %s\n", is_blocked(SIGBUS) ? "blocked" : "open",
	       sigismember(&pending, SIGBUS) ? "pending" : "not pending");
	got = sigtimedwait(&bus, &info, &at_once);
	printf("waited for: %d, value %d\n", got, got > 0 ? info.si_value.sival_int : 0);
}

static void blocked(void)
{
	handshake("first");
	block_all(NULL);
	cut_off();
	handshake("on what was cut off");
	show_pending();
	NEED(!sigqueue(getpid(), SIGBUS, (union sigval){.sival_int = 42}));
	cut_off();
	handshake("with one pending");
	show_pending();
}

static void blocked_from_the_start(void)
{
	block_all(NULL);
	handshake("first");
	cut_off();
	handshake("on what was cut off");
	show_pending();
}

static void *in_thread(void *unused)
{
	for (int i = 0; i < 20; i++) {
		struct pair pair = bio_pair(0);

		NEED(finish(&pair));
		pair_free(&pair);
	}
	NEED(is_blocked(SIGBUS));
	return unused;
}

/* The trace is truncated again and again while threads start, some with all signals blocked. */
static void threads(void)
{
	pthread_t thread[4];
	sigset_t before;

	handshake("first");
	block_all(&before);
	for (int i = 0; i < 4; i++)
		NEED(!pthread_create(&thread[i], NULL, in_thread, NULL));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	for (int i = 0; i < 20; i++) {
		cut_off();
		usleep(2000);
	}
	for (int i = 0; i < 4; i++)
		NEED(!pthread_join(thread[i], NULL));
	handshake("at last");
}

static void show_end(pid_t child)
{
	int status;

	NEED(waitpid(child, &status, 0) == child);
	printf("child: %s %d\n", WIFSIGNALED(status) ? "signal" : "exit",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	fflush(stdout);
}

static void in_child(bool cut, bool fall)
{
	pid_t child = fork();

	NEED(child >= 0);
	if (child) {
		show_end(child);
		return;
	}
	if (cut)
		cut_off();
	handshake("in the child");
	if (fall)
		fall_into_hole();
	_exit(0);
}

static void forks(void)
{
	handshake("first");
	in_child(true, false);
	handshake("in the parent");
	cut_off();
	in_child(false, false);
	in_child(false, true);
	handshake("in the parent");
}

/* The child has its own dispositions, but shares its parent's memory. */
static void vforks(void)
{
	struct sigaction action = our_action(0), other = {.sa_handler = on_plain};
	pid_t child;

	handshake("first");
	NEED(!sigaction(SIGBUS, &action, NULL));
	sigfillset(&other.sa_mask);
	NEED(!sigaction(SIGUSR1, &other, NULL) && !sigaction(SIGUSR2, &other, NULL));
	child = vfork();
	if (!child) {
		signal(SIGBUS, SIG_IGN);
		signal(SIGUSR1, SIG_DFL);
		sigaction(SIGUSR2, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
		_exit(7);
	}
	show_end(child);
	show("the parent");
	NEED(!sigaction(SIGUSR1, NULL, &other) && sigismember(&other.sa_mask, SIGBUS));
	NEED(!sigaction(SIGUSR2, NULL, &other) && sigismember(&other.sa_mask, SIGBUS));
	cut_off();
	handshake("on what was cut off");
	fall_into_hole();
}

static void in_handler(int sig)
{
	(void)sig;
	cut_off();
	handshake("in a handler that blocks everything");
}

static void handlers(void)
{
	struct sigaction action = {.sa_handler = in_handler}, now;

	sigfillset(&action.sa_mask);
	NEED(!sigaction(SIGUSR1, &action, NULL) && !sigaction(SIGUSR1, NULL, &now));
	NEED(sigismember(&now.sa_mask, SIGBUS) && sigismember(&now.sa_mask, SIGUSR2));
	handshake("first");
	raise(SIGUSR1);
	action.sa_handler = SIG_DFL;
	sigemptyset(&action.sa_mask);
	NEED(!sigaction(SIGUSR1, &action, &now) && sigismember(&now.sa_mask, SIGBUS));
	NEED(!sigaction(SIGUSR1, NULL, &now) && !sigismember(&now.sa_mask, SIGBUS));
	handshake("last");
}

static void block_and_shake(int sig)
{
	(void)sig;
	block_all(NULL);
	handshake("while all is blocked");
}

/* The mask that was set meanwhile goes with the handler, or the frames that siglongjmp() leaves. */
static void blocked_for_a_while(void)
{
	sigjmp_buf before;

	handshake("first");
	NEED(signal(SIGUSR1, block_and_shake) == SIG_DFL);
	raise(SIGUSR1);
	handshake("after the handler");
	printf("SIGBUS %d\n", is_blocked(SIGBUS));
	if (!sigsetjmp(before, 1)) {
		block_and_shake(0);
		siglongjmp(before, 1);
	}
	handshake("after the jump");
	printf("SIGBUS %d\n", is_blocked(SIGBUS));
	cut_off();
	handshake("on what was cut off");
}

#define MODE(name) {#name, name}
static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
	MODE(plain),	      MODE(before),		  MODE(before_on_this_stack),
	MODE(after),	      MODE(by_all_ways),	  MODE(once),
	MODE(killed_by_fault), MODE(killed_though_ignored), MODE(killed_by_sending),
	MODE(blocked),	      MODE(blocked_from_the_start), MODE(threads),
	MODE(forks),	      MODE(vforks),		  MODE(handlers),
	MODE(interrupting),   MODE(masks_of_others),	  MODE(blocked_as_in_bsd),
	MODE(blocked_for_a_while),
};

int main(int argc, char **argv)
{
	NEED(argc == 2);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(argv[1], modes[i].name)) {
			modes[i].run();
			return 0;
		}
	}
	return 2;
}
