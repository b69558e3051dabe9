/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of unwind tables stays within them, whatever they contain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "cfi.h"

#define PAGE 4096

/* A buffer followed by unreadable memory. */
static struct cfi_reader at_the_end(const void *bytes, size_t size)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
	memcpy(pages + PAGE - size, bytes, size);
	return (struct cfi_reader){
		.at = (uintptr_t)pages + PAGE - size,
		.end = (uintptr_t)pages + PAGE,
	};
}

static void reads_up_to_the_end(void **state)
{
	struct cfi_reader reader = at_the_end("\x01\x02\x03\x04\x05\x06\x07\x08", 8);

	(void)state;
	assert_int_equal(cfi_bytes(&reader, 4), 0x04030201);
	assert_int_equal(cfi_bytes(&reader, 4), 0x08070605);
	assert_false(reader.bad);
	assert_int_equal(reader.at, reader.end);
}

/* Nothing is read or skipped, and the reader stays bad. */
static void reads_no_byte_behind_it(void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 8};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct cfi_reader reader = at_the_end("\xff\xff\xff\xff\xff\xff\xff\xff", sizes[i] - 1);
		uintptr_t at = reader.at;

		assert_int_equal(cfi_bytes(&reader, sizes[i]), 0);
		assert_true(reader.bad);
		assert_int_equal(reader.at, at);
		assert_int_equal(cfi_bytes(&reader, 0), 0);
	}
}

static void numbers_without_an_end(void **state)
{
	struct cfi_reader reader = at_the_end("\x80\x80\x80", 3);

	(void)state;
	cfi_uleb(&reader);
	assert_true(reader.bad);
	reader = at_the_end("\xff\xff", 2);
	cfi_sleb(&reader);
	assert_true(reader.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_up_to_the_end),
		cmocka_unit_test(reads_no_byte_behind_it),
		cmocka_unit_test(numbers_without_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
