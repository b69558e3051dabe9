/* SPDX-License-Identifier: Apache-2.0 */
/* Walks up the stack: by libunwind's steps, and known again by their words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "walk.h"

#if defined(__x86_64__)

/* ---- a stack of the test's own making ---------------------------------------------- */

#define WORDS 64
static uintptr_t words[WORDS]; /* words[0] is the base */

/* Return addresses `first`, first + 1 ... in every fourth word. */
static struct walk make(uintptr_t first, int count)
{
	struct walk walk = {.count = count, .plain = true};

	for (int i = 0; i < count; i++) {
		words[4 * (i + 1)] = first + (uintptr_t)i;
		walk.frames[i] = (void *)(first + (uintptr_t)i);
		walk.places[i] = (uintptr_t)&words[4 * (i + 1)];
	}
	return walk;
}

static uint32_t known(void)
{
	return walk_known((uintptr_t)words);
}

static bool remember(const struct walk *walk, int skip, uint32_t id)
{
	return walk_remember((uintptr_t)words, walk, skip, id);
}

static void a_way_is_known_by_its_words(void **state)
{
	struct walk walk = make(1000, 5);

	(void)state;
	assert_int_equal(known(), 0);
	assert_true(remember(&walk, 0, 7));
	assert_int_equal(known(), 7);
	words[12]++;
	assert_int_equal(known(), 0);
	words[12]--;
	assert_int_equal(known(), 7);
}

static void frames_of_our_own_do_not_count(void **state)
{
	struct walk walk = make(2000, 5);

	(void)state;
	assert_true(remember(&walk, 2, 8));
	words[4] = words[8] = 0;
	assert_int_equal(known(), 8);
}

static void nothing_is_read_outside_what_was_walked(void **state)
{
	struct walk walk = make(3000, 5), shorter = make(3500, 3);

	(void)state;
	assert_true(remember(&walk, 0, 9));
	assert_true(remember(&shorter, 0, 10));
	make(3000, 5);
	assert_int_equal(known(), 0); /* the fifth word lies behind the end of that walk */
	assert_true(remember(&walk, 0, 9));
	assert_int_equal(known(), 9);
	assert_int_equal(walk_known((uintptr_t)words - 8), 0);
	assert_int_equal(walk_known((uintptr_t)&words[21]), 0);
}

static void *on_another_thread(void *context)
{
	struct walk walk = make(4000, 5);
	uint32_t *seen = context;

	seen[0] = known();
	remember(&walk, 0, 11);
	seen[1] = known();
	return NULL;
}

static void each_thread_walks_once(void **state)
{
	struct walk walk = make(4000, 5);
	uint32_t seen[2] = {1, 1};
	pthread_t thread;

	(void)state;
	assert_true(remember(&walk, 0, 11));
	assert_int_equal(known(), 11);
	assert_int_equal(pthread_create(&thread, NULL, on_another_thread, seen), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(seen[0], 0);
	assert_int_equal(seen[1], 11);
}

static void a_signals_frame_is_not_remembered(void **state)
{
	struct walk walk = make(5000, 5);

	(void)state;
	walk.plain = false;
	assert_true(remember(&walk, 0, 12));
	assert_int_equal(known(), 0);
}

/* ---- the real one --------------------------------------------------------------------- */

typedef int backtrace_function(void **frames, int size);

static bool load(const struct elf_object *object, void *context)
{
	if (strcmp(elf_soname(object), "libunwind.so.8"))
		return false;
	*(void **)context = elf_symbol(object, "unw_backtrace");
	return walk_load(object);
}

static void steps_are_those_of_a_whole_walk(void **state)
{
	backtrace_function *backtrace = NULL;
	void *frames[WALK_FRAMES];
	struct walk walk;
	int count;

	(void)state;
	assert_non_null(dlopen("libunwind.so.8", RTLD_LOCAL | RTLD_NOW));
	assert_true(elf_each(load, &backtrace));
	count = backtrace(frames, WALK_FRAMES);
	walk_take(&walk);
	assert_true(walk.plain);
	assert_true(count > 3 && walk.count == count);
	/* the first is in this function, at another place */
	assert_memory_equal(walk.frames + 1, frames + 1, (size_t)(count - 1) * sizeof(*frames));
	for (int i = 1; i < walk.count; i++)
		assert_ptr_equal(*(void **)walk.places[i], walk.frames[i]);
}

/* ---- the last one: it fills the memory ------------------------------------------------- */

static void too_many_ways_are_told(void **state)
{
	struct walk walk;
	int more = 0;

	(void)state;
	for (walk = make(10000, 5); remember(&walk, 0, 100 + (uint32_t)more); more++)
		walk = make(10010 + 10 * (uintptr_t)more, 5);
	assert_in_range(more, 32, 64);
	make(10000, 5);
	assert_int_equal(known(), 100); /* what is known stays known */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_way_is_known_by_its_words),
		cmocka_unit_test(frames_of_our_own_do_not_count),
		cmocka_unit_test(nothing_is_read_outside_what_was_walked),
		cmocka_unit_test(each_thread_walks_once),
		cmocka_unit_test(a_signals_frame_is_not_remembered),
		cmocka_unit_test(steps_are_those_of_a_whole_walk),
		cmocka_unit_test(too_many_ways_are_told),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}

#else
int main(void)
{
	return cmocka_run_group_tests_name("walk", (struct CMUnitTest[]){}, NULL, NULL);
}
#endif
