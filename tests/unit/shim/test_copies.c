/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that find the same copy of libssl at the same moment: where no lock is held, as under musl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copies.h"

#include <cmocka.h>

#define THREADS 4
#define PROCESSES 2000

static pthread_barrier_t barrier;
static const struct libssl found = {.start = 0x10000, .size = 0x1000, .ssl_index = -1};

static struct libssl *first(unsigned *count)
{
	struct libssl *lib = NULL;

	*count = 0;
	for (int i = LIBSSL_MAX - 1; i >= 0; i--) {
		struct libssl *one = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		lib = one ? one : lib;
		*count += one != NULL;
	}
	return lib;
}

/* What a thread keeps of it is not wiped by another one that adds it. */
static void *add(void *unused)
{
	struct libssl *lib;
	unsigned count;

	(void)unused;
	pthread_barrier_wait(&barrier);
	copies_add(&found);
	lib = first(&count);
	lib->ssl_index = 7;
	return lib;
}

static int in_a_process(void)
{
	pthread_t threads[THREADS];
	void *result[THREADS];
	unsigned count;
	bool same = true;

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, add, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], &result[i]);
	for (int i = 0; i < THREADS; i++)
		same &= result[i] == first(&count);
	return !(same && count == 1 && first(&count)->ssl_index == 7);
}

static void test_added_by_all_at_once(void **state)
{
	int wrong = 0, status;

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child)
			_exit(in_a_process());
		assert_int_equal(waitpid(child, &status, 0), child);
		wrong += status != 0;
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_added_by_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
