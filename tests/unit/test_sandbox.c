/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of another process, called on a copy of its memory. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "look/image.h"
#include "look/memory.h"
#include "look/sandbox.h"
#include "look/stub.h"
#include "unit/children.h"

/* In a child that only waits, all addresses are the same as here. */
struct asked {
	struct child child;
	int memory;
	struct regions regions;
	struct sandbox *sandbox;
};

static volatile uint64_t counter = 7;

static uint64_t add(uint64_t a, uint64_t b)
{
	return a + b + counter;
}

static uint64_t count(void)
{
	return ++counter;
}

static uint64_t text_length(const char *text)
{
	return strlen(text);
}

static uint64_t ask_the_kernel(void)
{
	return (uint64_t)syscall(SYS_getppid);
}

static uint64_t read_nothing(const volatile uint64_t *address)
{
	return *address;
}

static uint64_t loop(void)
{
	while (counter)
		;
	return 1;
}

static enum sandbox_result call(struct asked *asked, void *function, uint64_t a, uint64_t b,
				uint64_t *value)
{
	return sandbox_call(asked->sandbox, (uint64_t)(uintptr_t)function, a, b, value);
}

static int set_up(void **state)
{
	static struct asked asked;

	if (!STUB_EXISTS)
		return 0;
	asked.child = child_start(child_only_wait, NULL);
	asked.memory = memory_open(asked.child.pid);
	if (asked.memory < 0 || regions_read(asked.child.pid, &asked.regions))
		return -1;
	asked.sandbox = sandbox_open(asked.child.pid, asked.memory, &asked.regions);
	*state = &asked;
	return asked.sandbox ? 0 : -1;
}

static int tear_down(void **state)
{
	struct asked *asked = *state;

	if (!asked)
		return 0;
	sandbox_close(asked->sandbox);
	regions_free(&asked->regions);
	close(asked->memory);
	child_kill(&asked->child);
	return 0;
}

static void functions_return(void **state)
{
	struct asked *asked = *state;
	uint64_t value;

	if (!asked)
		skip();
	assert_int_equal(call(asked, add, 1, 2, &value), SANDBOX_RETURNED);
	assert_int_equal(value, 10);
	assert_int_equal(call(asked, add, UINT64_MAX, 0, &value), SANDBOX_RETURNED);
	assert_int_equal(value, 6);
	/* a function of libc, which may have to be bound first */
	assert_int_equal(call(asked, text_length, (uint64_t)(uintptr_t) "hello", 0, &value),
			 SANDBOX_RETURNED);
	assert_int_equal(value, 5);
}

static void what_they_write_is_the_copy_s(void **state)
{
	struct asked *asked = *state;
	uint64_t value, there;

	if (!asked)
		skip();
	assert_int_equal(call(asked, count, 0, 0, &value), SANDBOX_RETURNED);
	assert_int_equal(value, 8);
	assert_int_equal(call(asked, count, 0, 0, &value), SANDBOX_RETURNED);
	assert_int_equal(value, 9);
	sandbox_renew(asked->sandbox);
	assert_int_equal(call(asked, count, 0, 0, &value), SANDBOX_RETURNED);
	assert_int_equal(value, 8);
	assert_true(memory_read(asked->memory, (uint64_t)(uintptr_t)&counter, &there,
				sizeof(there)));
	assert_int_equal(there, 7);
	assert_int_equal(counter, 7);
}

static void broken_off_it_goes_on(void **state)
{
	struct asked *asked = *state;
	uint64_t value;

	if (!asked)
		skip();
	assert_int_equal(call(asked, ask_the_kernel, 0, 0, &value), SANDBOX_SYSCALL);
	assert_int_equal(value, SYS_getppid);
	assert_int_equal(call(asked, read_nothing, 8, 0, &value), SANDBOX_FAULT);
	assert_int_equal(value, SIGSEGV);
	/* twice: reading a missing page does not create it */
	assert_int_equal(call(asked, read_nothing, 0x123456789000, 0, &value), SANDBOX_FAULT);
	assert_int_equal(call(asked, read_nothing, 0x123456789000, 0, &value), SANDBOX_FAULT);
	assert_int_equal(call(asked, read_nothing, 1ull << 63, 0, &value), SANDBOX_FAULT);
	assert_int_equal(call(asked, NULL, 0, 0, &value), SANDBOX_FAULT);
	assert_int_equal(call(asked, add, 1, 2, &value), SANDBOX_RETURNED);
	assert_int_equal(value, 10);
}

static void patience_ends(void **state)
{
	struct asked *asked = *state;
	uint64_t value;

	if (!asked)
		skip();
	assert_int_equal(call(asked, loop, 0, 0, &value), SANDBOX_LATE);
	assert_int_equal(call(asked, add, 1, 2, &value), SANDBOX_RETURNED);
	for (int i = 0; i < 4; i++)
		assert_int_equal(call(asked, loop, 0, 0, &value), SANDBOX_LATE);
	assert_int_equal(call(asked, add, 1, 2, &value), SANDBOX_REFUSED);
}

static void a_process_that_has_ended(void **state)
{
	struct asked *asked = *state;
	uint64_t value;

	if (!asked)
		skip();
	child_kill(&asked->child);
	assert_int_not_equal(call(asked, add, 1, 2, &value), SANDBOX_RETURNED);
}

static void symbols_in_memory(void **state)
{
	struct asked *asked = *state;
	struct image image;
	uint64_t size;
	unsigned found = 0;

	if (!asked)
		skip();
	for (unsigned i = 0; i < asked->regions.count; i++) {
		const struct region *region = &asked->regions.list[i];

		if (region->offset || region->path[0] != '/' ||
		    !image_read(asked->memory, region->start, &image))
			continue;
		assert_int_equal(image_function(&image, "there_is_none", &size), 0);
		if (image_function(&image, "getppid", &size) ||
		    image_function(&image, "SSL_connect", &size)) {
			assert_true(size > 0 && image.end > image.start);
			found++;
		}
	}
	assert_int_not_equal(found, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(functions_return, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_they_write_is_the_copy_s, set_up, tear_down),
		cmocka_unit_test_setup_teardown(broken_off_it_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(patience_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_that_has_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(symbols_in_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
