/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a spool that cannot be read, what counts as being in files, and batches that fail. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "formats/spool.h"

#define FIRST "0000000000000001.rows"

struct place {
	char directory[64], first[96];
	struct spool *spool;
};

static void begin(struct place *place)
{
	const struct spool_options options = {.directory = place->directory,
					      .what = "items",
					      .bytes = 1 << 20,
					      .batch_bytes = 1 << 16,
					      .batch_items = 100};

	snprintf(place->directory, sizeof(place->directory), "/tmp/tlstall-spool-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->first, sizeof(place->first), "%s/" FIRST, place->directory);
	place->spool = spool_open(&options);
	assert_non_null(place->spool);
	assert_int_equal(spool_add(place->spool, "{}\n", 3), 0);
}

static void end(struct place *place)
{
	char clock[96];

	spool_close(place->spool);
	snprintf(clock, sizeof(clock), "%s/followed", place->directory);
	unlink(place->first);
	unlink(clock);
	assert_int_equal(rmdir(place->directory), 0);
}

/* A pipe in place of the file opens, but reading from it fails. */
static void test_a_file_whose_reading_fails_stays(void **state)
{
	struct spool_batch batch;
	struct place place;
	struct stat st;
	int pipe;

	(void)state;
	begin(&place);
	assert_int_equal(unlink(place.first), 0);
	assert_int_equal(mkfifo(place.first, 0600), 0);
	pipe = open(place.first, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(pipe >= 0);
	assert_false(spool_first(place.spool, true, &batch));
	assert_int_equal(lstat(place.first, &st), 0);
	assert_int_equal(spool_waiting(place.spool), 0);
	close(pipe);
	end(&place);
}

/* An item is lost with the process only if no file has it. */
static void test_what_is_in_a_file_is_not_at_risk(void **state)
{
	struct spool_batch batch;
	struct place place;

	(void)state;
	begin(&place);
	assert_int_equal(spool_at_risk(place.spool), 0);
	assert_int_equal(spool_waiting(place.spool), 3);
	assert_true(spool_first(place.spool, true, &batch));
	assert_int_equal(batch.items, 1);
	assert_memory_equal(batch.bytes, "{}\n", 3);
	spool_taken(place.spool);
	assert_int_equal(access(place.first, F_OK), -1);
	end(&place);
}

/* ---- a batch that fails ------------------------------------------------------------------- */

/* What the spool gives, and whether it is the item `{}` that begin() added. */
static bool gives_first(struct place *place)
{
	struct spool_batch batch;

	assert_true(spool_first(place->spool, true, &batch));
	return !memcmp(batch.bytes, "{}\n", 3);
}

static void others_are_taken(struct place *place, unsigned count)
{
	while (count--) {
		assert_int_equal(spool_add(place->spool, "[]\n", 3), 0);
		assert_false(gives_first(place));
		spool_taken(place->spool);
	}
}

static bool fails(struct place *place)
{
	assert_true(gives_first(place));
	return spool_failed(place->spool);
}

static void test_a_batch_is_at_fault_if_all_others_are_taken(void **state)
{
	char where[128], expected[128];
	struct place place;

	(void)state;
	begin(&place);
	for (int i = 0; i < 10; i++)
		assert_false(fails(&place));
	others_are_taken(&place, SPOOL_OTHERS);
	for (int i = 1; i < SPOOL_REFUSALS; i++)
		assert_false(fails(&place));
	assert_true(fails(&place));
	assert_true(spool_refused(place.spool, where, sizeof(where)));
	snprintf(expected, sizeof(expected), "%s/0000000000000001.refused", place.directory);
	assert_string_equal(where, expected);
	assert_int_equal(spool_waiting(place.spool), 0);
	assert_int_equal(unlink(where), 0);
	end(&place);
}

/* One other that fails, too, and then is taken: it was the server. */
static void test_a_busy_server_is_at_fault(void **state)
{
	struct place place;

	(void)state;
	begin(&place);
	assert_false(fails(&place));
	for (int round = 0; round < 5; round++) {
		others_are_taken(&place, SPOOL_OTHERS);
		for (int i = 1; i < SPOOL_REFUSALS; i++)
			assert_false(fails(&place));
		assert_int_equal(spool_add(place.spool, "[]\n", 3), 0);
		assert_false(gives_first(&place));
		assert_false(spool_failed(place.spool));
		assert_false(fails(&place));
		assert_false(gives_first(&place));
		spool_taken(place.spool);
	}
	assert_true(gives_first(&place));
	spool_taken(place.spool);
	end(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_whose_reading_fails_stays),
		cmocka_unit_test(test_what_is_in_a_file_is_not_at_risk),
		cmocka_unit_test(test_a_batch_is_at_fault_if_all_others_are_taken),
		cmocka_unit_test(test_a_busy_server_is_at_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
