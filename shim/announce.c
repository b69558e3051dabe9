/* SPDX-License-Identifier: Apache-2.0 */
/* What the program announces by prctl(2), and what the shim must not do from then on. */
#include <stdarg.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ask.h"
#include "clock.h"
#include "elf.h"
#include "mapping.h"
#include "settings.h"
#include "system.h"

typedef int prctl_function(int option, ...);

static prctl_function *real_prctl(void)
{
	static prctl_function *known;
	prctl_function *real = __atomic_load_n(&known, __ATOMIC_ACQUIRE);

	if (!real) {
		real = (prctl_function *)(settings.known ? elf_find("prctl") : elf_find_early("prctl"));
		__atomic_store_n(&known, real, __ATOMIC_RELEASE);
	}
	return real;
}

/* A vfork child, which writes to our memory, speaks for itself: it usually executes a program. */
static bool is_own(void)
{
	pid_t pid = mapping_process ? __atomic_load_n(&mapping_process->pid, __ATOMIC_RELAXED) : 0;

	return !pid || pid == system_getpid();
}

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59 /* Linux 5.11 */
#endif

static void note(int option, unsigned long value)
{
	/* an unprivileged process must set the first before a filter, and libseccomp always does */
	bool filter = option == PR_SET_NO_NEW_PRIVS || option == PR_SET_SECCOMP ||
		      (option == PR_SET_SYSCALL_USER_DISPATCH && value);
	bool counter = option == PR_SET_TSC && value == PR_TSC_SIGSEGV;

	if (!filter && !counter)
		return;
	if (filter && ask_may() && is_own())
		ask_note_filter();
	if (counter && (!ask_may() || is_own()))
		clock_leave_counter();
}

__attribute__((visibility("default"))) int prctl(int option, ...)
{
	prctl_function *real = real_prctl();
	unsigned long a, b, c, d;
	va_list arguments;

	va_start(arguments, option);
	a = va_arg(arguments, unsigned long);
	b = va_arg(arguments, unsigned long);
	c = va_arg(arguments, unsigned long);
	d = va_arg(arguments, unsigned long);
	va_end(arguments);
	note(option, a);
	return real ? real(option, a, b, c, d) : (int)system_call(SYS_prctl, option, a, b, c, d);
}
