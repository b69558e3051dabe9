/* SPDX-License-Identifier: Apache-2.0 */
/* All that a trace takes counts against TLSTALL_LIMIT, however large it has become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../scratch.h"
#include "room.h"
#include "settings.h"
#include "tlstall/environment.h"

static void limit_to(const char *directory, uint64_t units)
{
	snprintf(settings.directory, sizeof(settings.directory), "%s", directory);
	settings.limit = units * TLSTALL_UNIT;
}

static void test_taken_and_given_back(void **state)
{
	limit_to(*state, 10);
	assert_int_equal(room_left(), 10);
	room_take(4);
	assert_int_equal(room_left(), 6);
	room_take(7);
	assert_int_equal(room_left(), -1);
	room_give_back(1);
	assert_int_equal(room_left(), 0);
}

static void test_large(void **state)
{
	const uint64_t largest = room_units(4ull << 30);

	limit_to(*state, 3 * largest);
	room_take(largest + 5);
	assert_int_equal(room_left(), 2 * largest - 5);
	room_take(largest);
	assert_int_equal(room_left(), largest - 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_unit_test(test_taken_and_given_back),
		scratch_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
