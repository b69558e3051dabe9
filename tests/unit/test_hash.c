/* SPDX-License-Identifier: Apache-2.0 */
/* The hash of keys that strangers choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hash.h"

static void test_keys_are_told_apart(void **state)
{
	static const char zeros[20];

	(void)state;
	assert_true(hash_of("peer.example", 12) == hash_of("peer.example", 12));
	assert_true(hash_of("peer.example", 12) != hash_of("peer.exampld", 12));
	for (size_t size = 1; size < sizeof(zeros); size++)
		assert_true(hash_of(zeros, size) != hash_of(zeros, size - 1));
}

#define KEYS 10000u
#define PLACES 16384u

/* At random, it would be more than 20 keys once in 10^12 runs. */
static void test_keys_are_spread(void **state)
{
	static unsigned places[PLACES];
	unsigned most = 0;

	(void)state;
	for (unsigned i = 0; i < KEYS; i++) {
		char key[32];
		int length = snprintf(key, sizeof(key), "host-%u.example.org", i);
		unsigned at = (unsigned)hash_of(key, (size_t)length) % PLACES;

		places[at]++;
		most = places[at] > most ? places[at] : most;
	}
	assert_in_range(most, 1, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_told_apart),
		cmocka_unit_test(test_keys_are_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
