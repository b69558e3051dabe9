/* SPDX-License-Identifier: Apache-2.0 */
/* What distinguishes this process from every other one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "self.h"

static void knows_itself(void **state)
{
	struct self self;

	(void)state;
	self_read(&self);
	assert_int_equal(self.pid, getpid());
	assert_true(self.start_time > 0);
	assert_true(self.pid_namespace > 0);
	assert_int_equal(strlen(self.boot_id), 36);
}

static void tag_is_the_same_after_exec(void **state)
{
	struct self first, second;

	(void)state;
	self_read(&first);
	self_read(&second);
	assert_int_equal(self_tag(&first, false), self_tag(&second, false));
	assert_int_not_equal(self_tag(&first, true), self_tag(&first, false));
	assert_int_not_equal(self_tag(&first, true), self_tag(&first, true));
}

static void tag_differs(void **state)
{
	struct self self, other[5];

	(void)state;
	self_read(&self);
	for (int i = 0; i < 5; i++)
		other[i] = self;
	other[0].pid_namespace++;
	other[1].time_namespace++;
	other[2].boot_id[0] ^= 1;
	other[3].pid++;
	other[4].start_time++;
	for (int i = 0; i < 5; i++)
		assert_int_not_equal(self_tag(&self, false), self_tag(&other[i], false));
}

/* Nothing identifies the process then, so its tag is new each time. */
static void tag_without_proc(void **state)
{
	struct self self = {.pid = 7};

	(void)state;
	assert_int_not_equal(self_tag(&self, false), self_tag(&self, false));
	assert_int_not_equal(self_tag(&self, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_itself),
		cmocka_unit_test(tag_is_the_same_after_exec),
		cmocka_unit_test(tag_differs),
		cmocka_unit_test(tag_without_proc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
