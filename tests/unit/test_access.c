/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes may be inspected, and what is said about the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "unit/children.h"

static void access_to_our_own(void **state)
{
	struct child child = child_start(child_only_wait, NULL);
	char why[200] = "";

	(void)state;
	assert_int_equal(kernel_access(getpid(), why, sizeof(why)), 0);
	assert_int_equal(kernel_access(child.pid, why, sizeof(why)), 0);
	assert_string_equal(why, "");
	child_kill(&child);
	assert_int_equal(kernel_access(child.pid, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "no such process"));
}

static int other_user_is_named(pid_t pid)
{
	struct tlstall_handshake h = {.tid = (uint32_t)pid, .read = {.fd = 0}};
	struct kernel_view view;
	char why[200];

	if (kernel_access(pid, why, sizeof(why)) != -1 || !strstr(why, "belongs to user root"))
		return 1;
	kernel_look(pid, &h, &view);
	return view.socket.ticks == 0 && view.wait == TLSTALL_WAIT_UNKNOWN ? 0 : 2;
}

/* A thread that runs shows it to everybody, so one of root's that surely sleeps is asked about; else process 1. */
static void another_user(void **state)
{
	struct child child = child_start(child_only_wait, NULL);
	int answer = ask_as_nobody(other_user_is_named, geteuid() == 0 ? child.pid : 1);

	(void)state;
	child_kill(&child);
	assert_int_equal(answer, 0);
}

static void hide(void *argument)
{
	(void)argument;
	if (geteuid() == 0 && !become_nobody())
		_exit(1);
	prctl(PR_SET_DUMPABLE, 0);
	child_ready();
}

static int hidden_is_said(pid_t pid)
{
	char why[200];

	return kernel_access(pid, why, sizeof(why)) == -1 && strstr(why, "not dumpable") ? 0 : 1;
}

static void not_dumpable(void **state)
{
	struct child child = child_start(hide, NULL);

	(void)state;
	assert_int_equal(ask_as_nobody(hidden_is_said, child.pid), 0);
	child_kill(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(access_to_our_own),
		cmocka_unit_test(another_user),
		cmocka_unit_test(not_dumpable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
