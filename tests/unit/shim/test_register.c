/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads register the shim's ex_data at once: one set of functions remains. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "track.h"

static pthread_barrier_t both;
static bool meet;
static _Atomic int next_index;
static _Atomic bool live[64]; /* indexes with functions of the shim that keep something of an object */

static int new_index(int class, long argl, void *argp, CRYPTO_EX_new *made, CRYPTO_EX_dup *copied,
		     CRYPTO_EX_free *freed)
{
	int index = next_index++;

	(void)argl, (void)argp, (void)copied, (void)freed;
	/* that of contexts keeps nothing, and may be there twice */
	if (!made || class != CRYPTO_EX_INDEX_SSL)
		return index;
	/* both threads meet here before either goes on */
	if (meet)
		pthread_barrier_wait(&both);
	live[index] = true;
	return index;
}

static int free_index(int class, int index)
{
	assert_int_equal(class, CRYPTO_EX_INDEX_SSL);
	live[index] = false;
	return 1;
}

static void *allocate(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return malloc(size);
}

static void memory_functions(CRYPTO_malloc_fn *made, CRYPTO_realloc_fn *grown, CRYPTO_free_fn *freed)
{
	(void)grown, (void)freed;
	*made = allocate;
}

static struct libssl copy(void)
{
	return (struct libssl){
		.ssl_index = -1,
		.ctx_index = -1,
		.callback_index = -1,
		.hint_index = -1,
		.CRYPTO_malloc = allocate,
		.CRYPTO_get_mem_functions = memory_functions,
		.CRYPTO_get_ex_new_index = new_index,
		.CRYPTO_free_ex_index = free_index,
	};
}

static int live_ones(void)
{
	int count = 0;

	for (int i = 0; i < 64; i++)
		count += live[i];
	return count;
}

static void *registers(void *lib)
{
	return (void *)(uintptr_t)track_register(lib);
}

static void two_at_once(void **state)
{
	struct libssl lib = copy();
	pthread_t threads[2];
	void *registered;

	(void)state;
	next_index = 0;
	meet = true;
	pthread_barrier_init(&both, NULL, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, registers, &lib), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &registered), 0);
		assert_non_null(registered);
	}
	assert_int_equal(live_ones(), 1);
	assert_true(live[lib.ssl_index]);
	assert_false(live[lib.ctx_index]);
	live[lib.ssl_index] = false;
}

static void one_after_the_other(void **state)
{
	struct libssl lib = copy();
	int indexes;

	(void)state;
	next_index = 0;
	meet = false;
	assert_true(track_register(&lib));
	indexes = next_index;
	assert_true(track_register(&lib));
	assert_int_equal(next_index, indexes);
	assert_int_equal(live_ones(), 1);
	live[lib.ssl_index] = false;
}

/* OpenSSL visits every index whenever it makes or frees an object. */
static void only_what_is_needed(void **state)
{
	struct libssl lib = copy();
	int indexes;

	(void)state;
	next_index = 0;
	meet = false;
	assert_true(track_register(&lib));
	assert_int_equal(lib.callback_index, -1);
	indexes = next_index;
	assert_true(track_register_callback(&lib));
	assert_true(lib.callback_index >= indexes);
	/* Qt, if it registered meanwhile, uses two more than its own */
	assert_true(lib.callback_index >= indexes + 2);
	indexes = next_index;
	assert_true(track_register_callback(&lib));
	assert_int_equal(next_index, indexes);
	assert_int_equal(live_ones(), 1);
	live[lib.ssl_index] = false;
}

/* Another process may set a callback on an object in shared memory: all must know the index. */
static void at_once_if_shared(void **state)
{
	struct libssl lib = copy();

	(void)state;
	next_index = 0;
	meet = false;
	lib.CRYPTO_malloc = NULL;
	assert_true(track_register(&lib));
	assert_true(lib.program_memory && lib.callback_index >= 0 && lib.hint_index >= 0);
	live[lib.ssl_index] = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_at_once),
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(only_what_is_needed),
		cmocka_unit_test(at_once_if_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
