/* SPDX-License-Identifier: Apache-2.0 */
/* Packing calls into words loses nothing, whatever their lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "packed.h"

static uint64_t pack_one(uint64_t gap, uint64_t duration)
{
	struct tlstall_handshake h = {.calls = 1, .leave = 1000};
	const struct handshake_leave in = {.ticks = 1000 + gap + duration,
					   .ret = -1,
					   .function = 5,
					   .error = TLSTALL_ERROR_WANT_READ,
					   .state = 201};

	packed_add(&h, 1000 + gap, &in);
	assert_int_equal(h.packed[0], 0);
	return h.packed[1];
}

static void assert_near(uint64_t got, uint64_t wanted)
{
	assert_true(got <= wanted);
	assert_true(wanted - got <= wanted / 10000);
}

static void test_lengths(void **state)
{
	static const uint64_t lengths[] = {0,	      1,	16383,	     16384,
					   16385,     123456789, 1ull << 40, (1ull << 50) - 1};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		for (size_t k = 0; k < sizeof(lengths) / sizeof(*lengths); k++) {
			uint64_t word = pack_one(lengths[i], lengths[k]);

			assert_near(TLSTALL_PACK_GAP(word), lengths[i]);
			assert_near(TLSTALL_PACK_DURATION(word), lengths[k]);
		}
	}
}

static void test_fields(void **state)
{
	uint64_t word = pack_one(3, 4);

	(void)state;
	assert_int_equal(TLSTALL_PACK_FUNCTION(word), 5);
	assert_int_equal(TLSTALL_PACK_ERROR(word), TLSTALL_ERROR_WANT_READ);
	assert_int_equal(TLSTALL_PACK_RET(word), -1);
	assert_int_equal(TLSTALL_PACK_STATE(word), 201);
	assert_int_equal(TLSTALL_PACK_FINISHED(word), 0);
}

static void test_classes_of_results(void **state)
{
	static const int results[][2] = {{-5, -1}, {0, 0}, {1, 1}, {16384, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
		struct tlstall_handshake h = {0};
		const struct handshake_leave in = {.ret = results[i][0], .finished = true};

		packed_add(&h, 0, &in);
		assert_int_equal(TLSTALL_PACK_RET(h.packed[0]), results[i][1]);
		assert_int_equal(TLSTALL_PACK_FINISHED(h.packed[0]), 1);
	}
}

/* Nothing is written beyond the words, however often the program calls. */
static void test_no_more_than_fit(void **state)
{
	struct tlstall_handshake h[2] = {{.calls = TLSTALL_PACKED}, {0}};
	const struct handshake_leave in = {.ticks = UINT64_MAX, .ret = 1, .state = 255};

	(void)state;
	packed_add(h, 0, &in);
	h[0].calls = UINT32_MAX;
	packed_add(h, 0, &in);
	for (unsigned i = 0; i < TLSTALL_PACKED; i++)
		assert_int_equal(h[0].packed[i], 0);
	assert_int_equal(h[1].number, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_classes_of_results),
		cmocka_unit_test(test_no_more_than_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
