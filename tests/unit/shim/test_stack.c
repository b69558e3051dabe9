/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks in the trace, and the modules that their addresses are in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_trace.h"
#include "stack.h"

/* The table's first entry is of an object that was everywhere, and has been unloaded. */
static void begin(bool full)
{
	fake_trace();
	control->stacks = 1;
	if (full)
		mapping.module_room = 1;
	mapping.modules[0] = (struct tlstall_module){.end = UINT64_MAX, .path = "gone", .commit = 1};
	mapping.header->module_count = 1;
}

static void frames_are_not_of_the_one_that_is_gone(void **state)
{
	uint32_t id;

	(void)state;
	begin(false);
	id = stack_take();
	assert_int_not_equal(id, 0);
	assert_int_not_equal(mapping.stacks[id].hash >> 48, 0);
	assert_int_equal(mapping.header->lost.stacks, 0);
}

/* A stack without its modules would be named after the one that is gone. */
static void without_room_for_its_module_a_stack_is_lost(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(stack_take(), 0);
	assert_int_equal(mapping.header->lost.stacks, 1);
}

/* Another process counted an entry and is still writing it, or died before. It may be of any address. */
static void an_entry_that_is_not_complete_may_be_of_any_address(void **state)
{
	uint32_t id;

	(void)state;
	begin(false);
	mapping.modules[0] = (struct tlstall_module){.path = ""};
	id = stack_take();
	assert_int_not_equal(id, 0);
	assert_int_not_equal(mapping.stacks[id].hash >> 48, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_room_for_its_module_a_stack_is_lost),
		cmocka_unit_test(an_entry_that_is_not_complete_may_be_of_any_address),
		cmocka_unit_test(frames_are_not_of_the_one_that_is_gone),
	};

	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
