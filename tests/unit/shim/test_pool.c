/* SPDX-License-Identifier: Apache-2.0 */
/* A track belongs to one object, whichever threads want it at the same time. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "mapping.h"
#include "pool.h"

#define MANY 16384u /* as many as are taken before the oldest are used again */
#define ROUNDS 1000

static const struct libssl shared = {.program_memory = true};
static const struct libssl usual;
static struct track *tracks[MANY];
static uint64_t tokens[MANY];
static uint32_t winners[MANY];
static pthread_barrier_t together;

static const SSL *object(uintptr_t number)
{
	return (const SSL *)(0x1000 + 16 * number);
}

/* One of two threads that go along all tracks: the one behind catches up where it finds them taken. */
static void *compete(void *nothing)
{
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&together);
		for (uint32_t i = 0; i < MANY; i++)
			__atomic_fetch_add(&winners[i], pool_claim(tracks[i], tokens[i]), __ATOMIC_RELAXED);
		pthread_barrier_wait(&together);
	}
	return nothing;
}

static void take_round(void)
{
	for (uint32_t i = 0; i < MANY; i++) {
		winners[i] = 0;
		tracks[i]->token = tokens[i];
	}
	pthread_barrier_wait(&together);
	pthread_barrier_wait(&together);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(winners[i], 1);
}

static void test_one_thread_wins(void **state)
{
	pthread_t threads[2];

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		tracks[i] = pool_take(&usual, object(i));
		assert_non_null(tracks[i]);
		tokens[i] = tracks[i]->token;
	}
	pthread_barrier_init(&together, NULL, 3);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, compete, NULL), 0);
	for (int round = 0; round < ROUNDS; round++)
		take_round();
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = MANY; i > 0; i--)
		pool_give_back(tracks[i - 1]);
}

/* All that there are before the oldest are used again: one in a call, one being freed, one of another libssl. */
static int take_all(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		tracks[i] = pool_take(i == 2 ? &usual : &shared, object(i));
		if (!tracks[i])
			return -1;
	}
	track_set_frame(tracks[0], 1);
	tokens[3] = tracks[3]->token;
	return pool_claim(tracks[1], tracks[1]->token) ? 0 : -1;
}

static void test_what_is_in_use_is_not_taken(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * MANY; i++) {
		struct track *track = pool_take(&shared, object(MANY + i));

		assert_non_null(track);
		for (uint32_t j = 0; j < 3; j++)
			assert_ptr_not_equal(track, tracks[j]);
	}
	assert_ptr_equal(tracks[0]->ssl, object(0));
	assert_int_equal(tracks[1]->token, 0);
	assert_ptr_equal(tracks[2]->ssl, object(2));
}

static void test_late_free_takes_nothing(void **state)
{
	struct track *track = tracks[3];

	(void)state;
	assert_ptr_not_equal(track->ssl, object(3)); /* used again above */
	assert_false(pool_claim(track, tokens[3]));
	assert_true(pool_claim(track, track->token));
	assert_false(pool_claim(track, track->token)); /* now free */
}

static void test_a_running_one_is_the_last_resort(void **state)
{
	struct track *track;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		track_set_phase(tracks[i], i == 100 ? PHASE_NEW : PHASE_RUNNING);
	for (uint32_t i = 0; i < MANY / 16 && tracks[100]->phase == PHASE_NEW; i++) {
		track = pool_take(&shared, object(i));
		assert_non_null(track);
		track_set_phase(track, PHASE_RUNNING);
	}
	assert_int_equal(tracks[100]->phase, PHASE_RUNNING);
}

static void test_nothing_is_left_of_the_object_before(void **state)
{
	struct track *track = pool_take(&usual, object(0)), expected;
	uint32_t index = track->index, use = track->use;

	(void)state;
	memset(track, 0xff, sizeof(*track));
	track->index = index;
	track->use = use;
	pool_give_back(track);
	assert_ptr_equal(pool_take(&usual, object(1)), track);
	memset(&expected, 0, sizeof(expected));
	expected.ssl = object(1);
	expected.token = track->token;
	expected.index = index;
	expected.use = use + 1;
	expected.lib = &usual;
	expected.read.fd = -1;
	assert_memory_equal(track, &expected, sizeof(expected));
	pool_give_back(track);
}

static void test_errno_is_kept_without_memory(void **state)
{
	struct rlimit usual_limit, none = {0};
	int error;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_AS, &usual_limit), 0);
	none.rlim_max = usual_limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	errno = EDOM;
	while (pool_take(&usual, object(0)))
		;
	error = errno;
	assert_int_equal(setrlimit(RLIMIT_AS, &usual_limit), 0);
	assert_int_equal(error, EDOM);
}

int main(void)
{
	static struct identity identity = {.state = IDENTITY_KNOWN};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_left_of_the_object_before),
		cmocka_unit_test(test_one_thread_wins),
		cmocka_unit_test_setup(test_what_is_in_use_is_not_taken, take_all),
		cmocka_unit_test(test_late_free_takes_nothing),
		cmocka_unit_test(test_a_running_one_is_the_last_resort),
		cmocka_unit_test(test_errno_is_kept_without_memory),
	};

	mapping_process = &identity;
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
