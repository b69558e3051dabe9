/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for each test that wants one, at *state; removed with its contents. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stddef.h>

#define scratch_unit_test(test)                                                                    \
	cmocka_unit_test_setup_teardown(test, scratch_set_up, scratch_tear_down)

int scratch_set_up(void **state);
int scratch_tear_down(void **state);

/* Valid until the fourth call after it. */
const char *scratch_path(const char *directory, const char *name);

/* Writes an executable file; returns its path. */
const char *scratch_save(const char *directory, const char *name, const void *bytes, size_t size);

#endif
