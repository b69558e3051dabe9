/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While the shim writes, SIGBUS is not blocked, whatever the program does in handlers that interrupt
 * it; afterwards, the mask is the program's.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "guard.h"
#include "system.h"

static uint64_t change(int how, uint64_t set)
{
	uint64_t old = 0;

	assert_int_equal(system_call(SYS_rt_sigprocmask, how, &set, &old, 8), 0);
	return old;
}

static bool is_blocked(void)
{
	return change(SIG_BLOCK, 0) >> (SIGBUS - 1) & 1;
}

/* As sigprocmask() does. */
static void block(bool blocks)
{
	change(blocks ? SIG_BLOCK : SIG_UNBLOCK, 1ull << (SIGBUS - 1));
	guard_mask_changed(blocks);
}

static void a_section(void **state)
{
	(void)state;
	block(true);
	guard_enter();
	assert_false(is_blocked());
	guard_leave();
	assert_true(is_blocked());
	block(false);
	guard_enter();
	guard_leave();
	assert_false(is_blocked());
}

/* The kernel takes the mask back that was in force. */
static void a_handler_within_blocks(void **state)
{
	(void)state;
	block(true);
	guard_enter();
	block(true);
	guard_enter();
	assert_false(is_blocked());
	guard_leave();
	assert_true(is_blocked());
	change(SIG_UNBLOCK, 1ull << (SIGBUS - 1));
	guard_leave();
	assert_true(is_blocked());
	block(false);
}

static void a_handler_within_does_nothing(void **state)
{
	(void)state;
	block(true);
	guard_enter();
	guard_enter();
	assert_false(is_blocked());
	guard_leave();
	assert_false(is_blocked());
	guard_leave();
	assert_true(is_blocked());
	block(false);
}

/* siglongjmp() from a handler: the section never ends, and the mask is that of sigsetjmp(). */
static void after_a_jump_out_of_one(void **state)
{
	(void)state;
	block(true);
	guard_enter();
	block(true);
	for (int i = 0; i < 100; i++) {
		guard_enter();
		assert_false(is_blocked());
		guard_leave();
		assert_true(is_blocked());
	}
	block(false);
	guard_enter();
	assert_false(is_blocked());
	guard_leave();
	assert_false(is_blocked());
}

static void nothing(void)
{
}

static int begin(void **state)
{
	static pid_t pid;
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	guard_install(&(struct guard){
		.start = (uintptr_t)page,
		.end = (uintptr_t)page + 4096,
		.page = 4096,
		.pid = &pid,
		.blocked = nothing,
	});
	return page == MAP_FAILED || !guard_is_on();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_section),
		cmocka_unit_test(a_handler_within_blocks),
		cmocka_unit_test(a_handler_within_does_nothing),
		cmocka_unit_test(after_a_jump_out_of_one),
	};

	return cmocka_run_group_tests_name("guard", tests, begin, NULL);
}
