/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ask.h"
#include "large.h"
#include "signals_real.h"
#include "system.h"

static struct guard guard;

bool guard_is_on(void)
{
	return __atomic_load_n(&guard.end, __ATOMIC_ACQUIRE);
}

/* ---- memory in place of the file ----------------------------------------------------- */

/*
 * Like the file, shared memory does not count against RLIMIT_DATA, of which the program needs the
 * rest; but after detaching, none may be left. `kind`: the one that is tried first.
 */
static bool put(uintptr_t start, size_t size, int kind)
{
	const int flags = MAP_FIXED | MAP_ANONYMOUS, other = kind ^ MAP_SHARED ^ MAP_PRIVATE;
	void *at = (void *)start;

	if (system_mmap(at, size, PROT_READ | PROT_WRITE, flags | kind, -1, 0) != at &&
	    system_mmap(at, size, PROT_READ | PROT_WRITE, flags | other, -1, 0) != at)
		return false;
	if (ask_may())
		system_munlock(at, size);
	return true;
}

/*
 * After mlockall(MCL_FUTURE), new memory is locked until we unlock it, and no more of it comes at
 * once than RLIMIT_MEMLOCK leaves.
 */
static bool replace(uintptr_t start, size_t size, int kind)
{
	size_t step = size;

	for (size_t done = 0; done < size; done += step) {
		if (step > size - done)
			step = size - done;
		while (!put(start + done, step, kind)) {
			if (step <= guard.page)
				return false;
			step = (step / 2 + guard.page - 1) / guard.page * guard.page;
		}
	}
	return true;
}

/*
 * Parts are one page at first, which loses least, and double after every 64, so
 * that a file of 4 GiB has few of them.
 */
static size_t size_of_part(void)
{
	static uint32_t parts;
	uint32_t shift = __atomic_fetch_add(&parts, 1, __ATOMIC_RELAXED) / 64;

	return guard.page << (shift < 16 ? shift : 16);
}

/* A process that has more memory than it may (RLIMIT_AS, RLIMIT_MEMLOCK), or sealed this, gets none here. */
static bool cover_all(void)
{
	if (!replace(guard.start, guard.end - guard.start, MAP_SHARED))
		return guard.restore();
	guard.lost();
	return true;
}

/*
 * Without its header the file is worth nothing. A part needs two mappings more, which a process
 * that has as many as it may (vm.max_map_count) does not get.
 */
static bool cover(uintptr_t address)
{
	size_t size = size_of_part();
	uintptr_t start = guard.start + (address - guard.start) / size * size;

	if (start == guard.start ||
	    !replace(start, guard.end - start < size ? guard.end - start : size, MAP_SHARED))
		return cover_all();
	guard.part();
	return true;
}

/* ---- the thread's mask --------------------------------------------------------------- */

__thread uint8_t guard_mask;
/*
 * Guarded sections that this thread is in, although the program blocks SIGBUS in it, and which of them
 * found it blocked, the innermost in the lowest bit: all outermost ones, and one in a handler that
 * interrupted another and has changed the mask, or after a jump out of one.
 */
static __thread uint32_t depth;
static __thread uint64_t found_blocked;
/* A SIGBUS sent during a guarded section; the program sees it as pending. */
static __thread siginfo_t sent;
static __thread bool was_sent;

#define KERNEL_MASK_SIZE 8
static const uint64_t only_bus = 1ull << (SIGBUS - 1);

/* A direct system call: the libc function may be another preload's or a sanitizer's. */
static uint64_t change_mask(int how, const uint64_t *set)
{
	uint64_t old = 0;

	system_call(SYS_rt_sigprocmask, how, set, &old, KERNEL_MASK_SIZE);
	return old;
}

void guard_mask_changed(bool blocks)
{
	guard_mask = GUARD_UNKNOWN;
	if (blocks && guard_is_on())
		guard.blocked();
}

/* The end of a handler, or siglongjmp(), may have set another mask meanwhile: that one must stay. */
static void unblock(void)
{
	/* before one that is pending comes in */
	bool outermost = depth++ == 0;

	found_blocked <<= 1;
	if (!outermost && !ask_may())
		return;
	if (change_mask(SIG_UNBLOCK, &only_bus) & only_bus) {
		found_blocked |= 1;
	} else if (outermost) {
		guard_mask = GUARD_OPEN;
		depth = 0;
	}
}

void guard_open(void)
{
	int saved = errno;

	if (!guard_is_on())
		return;
	if (!ask_may() && !depth)
		guard_mask = GUARD_OPEN; /* assumed, because a filter forbids asking */
	if (!depth && guard_mask == GUARD_UNKNOWN)
		guard_mask = change_mask(SIG_BLOCK, NULL) & only_bus ? GUARD_BLOCKED : GUARD_OPEN;
	if (guard_mask != GUARD_OPEN)
		unblock();
	errno = saved;
}

static void send_again(void)
{
	siginfo_t info = sent;
	pid_t pid = system_getpid();

	was_sent = false;
	if (info.si_code == SI_TKILL)
		system_call(SYS_rt_tgsigqueueinfo, pid, system_gettid(), SIGBUS, &info);
	else
		system_call(SYS_rt_sigqueueinfo, pid, SIGBUS, &info);
}

void guard_close(void)
{
	int saved = errno;
	bool blocked = found_blocked & 1;

	if (!depth)
		return;
	depth--;
	found_blocked >>= 1;
	if (!blocked)
		return;
	change_mask(SIG_BLOCK, &only_bus);
	if (was_sent)
		send_again();
	errno = saved;
}

/* ---- the program's own disposition ---------------------------------------------------- */

/*
 * What the program set, the newest last. Handlers in any thread read it, so a new disposition
 * takes a new place and old ones stay valid for a while.
 */
#define ACTIONS 64
LARGE static struct sigaction actions[ACTIONS];
static uint32_t action_count, action_now;
static const struct sigaction *program_action(void)
{
	return &actions[__atomic_load_n(&action_now, __ATOMIC_ACQUIRE) % ACTIONS];
}

static void keep_action(const struct sigaction *action)
{
	uint32_t at = __atomic_fetch_add(&action_count, 1, __ATOMIC_RELAXED);

	actions[at % ACTIONS] = *action;
	__atomic_store_n(&action_now, at, __ATOMIC_RELEASE);
}

static bool is_function(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

static void on_bus(int sig, siginfo_t *info, void *context);

/* Flags in which the kernel's disposition may differ from the program's. */
#define OUR_FLAGS (SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESETHAND)

static struct sigaction for_kernel(const struct sigaction *program)
{
	struct sigaction action = *program;

	action.sa_sigaction = on_bus;
	action.sa_flags = (program->sa_flags | SA_SIGINFO) & ~(int)SA_RESETHAND;
	/* no handler of the program will run */
	if (!is_function(program)) {
		action.sa_flags |= SA_ONSTACK | SA_RESTART;
		sigemptyset(&action.sa_mask);
	}
	return action;
}

static void without_us(const struct sigaction *action)
{
	signals_real()->sigaction(SIGBUS, action, NULL);
}

/*
 * A forked child keeps our handler and manages its own copy. A vfork child changes its own
 * disposition, but writes to our memory, so nothing may be noted there.
 */
static bool is_own(void)
{
	pid_t none = 0, pid = system_getpid();

	return __atomic_compare_exchange_n(guard.pid, &none, pid, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED) ||
	       none == pid;
}

bool guard_is_own(void)
{
	return !guard_is_on() || !ask_may() || is_own();
}

static int install(const struct sigaction *program)
{
	struct sigaction action = for_kernel(program);

	return signals_real()->sigaction(SIGBUS, &action, NULL);
}

/* As the kernel stores it: without unknown flags and signals that cannot be blocked. */
static void keep_as_kernel_does(const struct sigaction *program)
{
	struct sigaction kept = *program, now;

	if (!signals_real()->sigaction(SIGBUS, NULL, &now)) {
		kept.sa_flags = (now.sa_flags & ~OUR_FLAGS) | (program->sa_flags & OUR_FLAGS);
		kept.sa_restorer = now.sa_restorer;
	}
	sigdelset(&kept.sa_mask, SIGKILL);
	sigdelset(&kept.sa_mask, SIGSTOP);
	keep_action(&kept);
}

int guard_sigaction(const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before = *program_action(), wanted;

	if (act)
		wanted = *act; /* act and old may point to the same object */
	if (act && !guard_is_own())
		without_us(&wanted);
	else if (act && install(&wanted))
		return -1;
	else if (act)
		keep_as_kernel_does(&wanted);
	if (old)
		*old = before;
	return 0;
}

/* ---- the handler ----------------------------------------------------------------------- */

static bool is_ours(const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code <= BUS_MCEERR_AO &&
	       (uintptr_t)info->si_addr - guard.start < guard.end - guard.start;
}

/* The default action. A fault recurs when the handler returns; a sent signal is sent again. */
static void end_by_default(siginfo_t *info)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	without_us(&action);
	if (info->si_code > 0 && info->si_code != BUS_MCEERR_AO)
		return;
	sent = *info;
	send_again();
}

static void call_program(int sig, siginfo_t *info, void *context)
{
	struct sigaction action = *program_action();

	if (action.sa_flags & SA_RESETHAND) {
		struct sigaction once = action;

		once.sa_handler = SIG_DFL;
		keep_action(&once);
	}
	/* the handler runs with SIGBUS and others blocked, and may never return */
	guard_mask = GUARD_UNKNOWN;
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(sig, info, context);
	else
		action.sa_handler(sig);
	guard_mask = GUARD_UNKNOWN;
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *program = program_action();
	int saved = errno;

	if (is_ours(info) && cover((uintptr_t)info->si_addr)) {
		errno = saved;
		return;
	}
	/* somebody sent it while the program blocks it */
	if (depth && info->si_code <= 0) {
		sent = *info;
		was_sent = true;
		return;
	}
	if (is_function(program))
		call_program(sig, info, context);
	else if (program->sa_handler == SIG_DFL || info->si_code > 0)
		end_by_default(info);
}

void guard_install(const struct guard *wanted)
{
	struct sigaction program;

	if (guard_is_on() || !signals_real()->sigaction ||
	    signals_real()->sigaction(SIGBUS, NULL, &program))
		return;
	guard = *wanted;
	is_own();
	keep_action(&program);
	install(&program);
	if (change_mask(SIG_BLOCK, NULL) & only_bus)
		guard.blocked();
	guard_mask = GUARD_UNKNOWN;
}

bool guard_remove(void)
{
	struct sigaction now;

	if (!guard_is_on() || !replace(guard.start, guard.end - guard.start, MAP_PRIVATE))
		return false;
	if (!signals_real()->sigaction(SIGBUS, NULL, &now) && now.sa_sigaction == on_bus)
		without_us(program_action());
	__atomic_store_n(&guard.end, 0, __ATOMIC_RELEASE);
	return true;
}
