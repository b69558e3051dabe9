/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for each test that wants one, at *state; what is in it goes with it. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stddef.h>

#define scratch_unit_test(test)                                                                    \
	cmocka_unit_test_setup_teardown(test, scratch_set_up, scratch_tear_down)

int scratch_set_up(void **state);
int scratch_tear_down(void **state);

/* Only the last four answers hold. */
const char *scratch_path(const char *directory, const char *name);

/* Writes a file that may be executed; returns its path. */
const char *scratch_save(const char *directory, const char *name, const void *bytes, size_t size);

#endif
