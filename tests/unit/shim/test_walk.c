/* SPDX-License-Identifier: Apache-2.0 */
/* Stack walks, recognized by their words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <alloca.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "code.h"
#include "walk.h"

/* ---- a made-up stack --------------------------------------------------------------- */

#define WORDS 64
static uintptr_t words[WORDS]; /* words[0] is the base */

/* Return addresses `first`, first + 1 ... are in words 1, 5, 9 ... */
static struct walk make(uintptr_t first, int count)
{
	struct walk walk = {.count = count, .plain = true, .guessed = -1};

	for (int i = 0; i < count; i++) {
		words[4 * i + 1] = first + (uintptr_t)i;
		walk.frames[i] = (void *)(first + (uintptr_t)i);
		walk.places[i] = (uintptr_t)&words[4 * i + 1];
	}
	return walk;
}

static uint32_t known(void)
{
	return walk_known((uintptr_t)words);
}

static void remember(struct walk *walk, uint32_t id)
{
	walk_remember((uintptr_t)words, walk, id);
}

static void a_way_is_known_by_its_words(void **state)
{
	struct walk walk = make(1000, 5);

	(void)state;
	assert_int_equal(known(), 0);
	remember(&walk, 7);
	assert_int_equal(known(), 7);
	words[9]++;
	assert_int_equal(known(), 0);
	words[9]--;
	assert_int_equal(known(), 7);
}

static void frames_below_the_base_do_not_count(void **state)
{
	struct walk walk = make(2000, 5);
	uintptr_t base = (uintptr_t)&words[8];

	(void)state;
	walk_remember(base, &walk, 8);
	words[1] = words[5] = 0;
	assert_int_equal(walk_known(base), 8);
	words[9] = 0;
	assert_int_equal(walk_known(base), 0);
}

static void without_the_base_nothing_is_kept(void **state)
{
	struct walk walk = make(2500, 5);

	(void)state;
	walk_remember((uintptr_t)&words[2], &walk, 8);
	assert_int_equal(walk_known((uintptr_t)&words[2]), 0);
}

/* The word that differs is the last one read: the page ends after it. */
static void no_word_is_read_behind_one_that_differs(void **state)
{
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t *last = (uintptr_t *)(void *)(map + 4096) - 2;
	struct walk walk = make(3000, 5);

	(void)state;
	assert_int_equal(mprotect(map + 4096, 4096, PROT_NONE), 0);
	remember(&walk, 9);
	assert_int_equal(known(), 9);
	last[1] = 4711;
	assert_int_equal(walk_known((uintptr_t)last), 0);
	munmap(map, 8192);
}

static void *on_another_thread(void *context)
{
	*(uint32_t *)context = known();
	return NULL;
}

static void other_threads_know_it_at_once(void **state)
{
	struct walk walk = make(4000, 5);
	uint32_t seen = 0;
	pthread_t thread;

	(void)state;
	remember(&walk, 11);
	assert_int_equal(pthread_create(&thread, NULL, on_another_thread, &seen), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(seen, 11);
}

static void a_signals_frame_is_not_remembered(void **state)
{
	struct walk walk = make(5000, 5);

	(void)state;
	walk.plain = false;
	remember(&walk, 12);
	assert_int_equal(known(), 0);
}

/* Where a frame's size may differ, the next word may lie beyond the end of the stack. */
static void guesses_are_not_made_on_a_stack_that_is_not_ours(void **state)
{
	struct walk walk = make(6000, 5);

	(void)state;
	walk.guessed = 2;
	remember(&walk, 13);
	assert_int_equal(known(), 0);
}

/* ---- the real stack ------------------------------------------------------------------- */

static uint32_t next_id = 100;

/* As stack_take() does: the id, and whether it was known. */
static __attribute__((noinline)) uint32_t take(bool *was_known)
{
	uintptr_t base = (uintptr_t)__builtin_frame_address(0);
	uint32_t id = walk_known(base);
	struct walk walk;

	*was_known = id;
	if (id)
		return id;
	walk_take(&walk, true);
	assert_true(walk.plain);
	assert_true(walk.count > 3);
	/* the first walk's own frame is gone */
	for (int i = 1; i < walk.count; i++)
		assert_ptr_equal(*(void **)walk.places[i], walk.frames[i]);
	walk_remember(base, &walk, next_id);
	return next_id++;
}

static __attribute__((noinline)) uint32_t take_below(size_t room, bool *was_known)
{
	volatile char *space = alloca(room);
	uint32_t id;

	space[0] = 1;
	id = take(was_known);
	space[0] = 2;
	return id;
}

static void real_ways_are_known_the_second_time(void **state)
{
	uint32_t ids[3];
	bool was_known[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		ids[i] = take(&was_known[i]);
	assert_false(was_known[0]);
	assert_true(was_known[1] && was_known[2]);
	assert_int_equal(ids[0], ids[2]);
}

static void with_frames_of_any_size_too(void **state)
{
	uint32_t ids[4];
	bool was_known[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		ids[i] = take_below(i < 2 ? 100 : 900, &was_known[i]);
	assert_true(was_known[1] && was_known[3]);
	assert_false(was_known[2]);
	assert_int_equal(ids[0], ids[1]);
	assert_int_not_equal(ids[0], ids[2]);
}

/* ---- last, because it fills the memory ------------------------------------------------- */

static void too_many_ways_are_walked_again(void **state)
{
	struct walk walk;
	int kept = 0;

	(void)state;
	for (uintptr_t i = 0; i < 200; i++) {
		walk = make(10000 + 10 * i, 5);
		remember(&walk, 1000 + (uint32_t)i);
		kept += known() == 1000 + i;
	}
	assert_in_range(kept, 32, 128);
	make(10000, 5);
	assert_int_equal(known(), 1000); /* known stacks stay known */
}

/* The code that they led through is gone. Their places are not used again, so there is an end to it. */
static void forgotten_ways_are_not_known(void **state)
{
	struct walk walk;
	int kept = 0;

	(void)state;
	for (uintptr_t i = 0; i < 400; i++) {
		walk = make(20000, 5);
		walk_forget();
		assert_int_equal(known(), 0);
		remember(&walk, 2000 + (uint32_t)i);
		kept += known() == 2000 + i;
	}
	assert_in_range(kept, 100, 256);
	assert_int_equal(known(), 0);
}

static int set_up(void **state)
{
	(void)state;
	code_prepare();
	code_refresh(true);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_way_is_known_by_its_words),
		cmocka_unit_test(frames_below_the_base_do_not_count),
		cmocka_unit_test(without_the_base_nothing_is_kept),
		cmocka_unit_test(no_word_is_read_behind_one_that_differs),
		cmocka_unit_test(other_threads_know_it_at_once),
		cmocka_unit_test(a_signals_frame_is_not_remembered),
		cmocka_unit_test(guesses_are_not_made_on_a_stack_that_is_not_ours),
		cmocka_unit_test(real_ways_are_known_the_second_time),
		cmocka_unit_test(with_frames_of_any_size_too),
		cmocka_unit_test(too_many_ways_are_walked_again),
		cmocka_unit_test(forgotten_ways_are_not_known),
	};

	return cmocka_run_group_tests_name("walk", tests, set_up, NULL);
}
