/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's stack walks find the same frames as libunwind, on any stack and from any caller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "chains.h"
#include "code.h"
#include "walk.h"

#define COMPILED(X) \
	X(chains_O0) X(chains_O1) X(chains_O2) X(chains_O3) X(chains_Os) \
	X(chains_O0_without) X(chains_O2_with) X(chains_O3_with) X(chains_O2_array)
#define DECLARE(name) extern const struct chains name;
COMPILED(DECLARE)
static const struct chains *const compiled[] = {
#define ADDRESS(name) &name,
	COMPILED(ADDRESS)
};
#define COMPILED_COUNT (sizeof(compiled) / sizeof(compiled[0]))

/* ---- what is compared ---------------------------------------------------------------- */

typedef int backtrace_function(void **frames, int size);
static backtrace_function *libunwind;
static int looks, at_least;

static void look(void)
{
	void *frames[WALK_FRAMES];
	int count = libunwind(frames, WALK_FRAMES);
	struct walk walk;

	walk_take(&walk, true);
	looks++;
	if (walk.count != count)
		for (int i = 0; i < count || i < walk.count; i++)
			print_message("# %2d %p %p\n", i, i < count ? frames[i] : NULL,
				      i < walk.count ? walk.frames[i] : NULL);
	assert_int_equal(walk.count, count);
	assert_true(count >= at_least);
	/* the first frame is in this function, at another place */
	for (int i = 1; i < count; i++)
		assert_ptr_equal(walk.frames[i], frames[i]);
}

static int set_up(void **state)
{
	void *library = dlopen("libunwind.so.8", RTLD_LOCAL | RTLD_NOW);

	(void)state;
	assert_non_null(library);
	*(void **)&libunwind = dlsym(library, "unw_backtrace");
	assert_non_null(libunwind);
	code_prepare();
	code_refresh(true);
	return 0;
}

static int each_time(void **state)
{
	(void)state;
	looks = 0;
	at_least = 6;
	return 0;
}

static void each_chain(leaf_function *leaf)
{
	for (size_t i = 0; i < COMPILED_COUNT; i++) {
		for (const struct chain *chain = compiled[i]->list; chain->name; chain++) {
			int before = looks;

			chain->call(leaf);
			if (looks == before)
				fail_msg("%s, %s: not called", chain->name, compiled[i]->flags);
		}
	}
}

static void as_compilers_compile(void **state)
{
	(void)state;
	each_chain(look);
	assert_in_range(looks, 11 * COMPILED_COUNT, 20 * COMPILED_COUNT);
}

/* One chain calls another: frames of both kinds on one stack. */
static const struct chains *below;

static void go_on(void)
{
	for (const struct chain *chain = below->list; chain->name; chain++) {
		if (strcmp(chain->name, "noreturn at the end"))
			chain->call(look);
	}
}

static void mixed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COMPILED_COUNT; i++) {
		below = compiled[COMPILED_COUNT - 1 - i];
		for (const struct chain *chain = compiled[i]->list; chain->name; chain++)
			chain->call(go_on);
	}
	assert_true(looks > 900);
}

/* ---- where frames lie -------------------------------------------------------------------- */

static void *on_thread(void *context)
{
	(void)context;
	at_least = 4;
	each_chain(look);
	return NULL;
}

static void in_a_thread(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, on_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(looks > 90);
}

static void on_signal(int number)
{
	(void)number;
	compiled[2]->list[0].call(look);
}

static void in_a_signal_handler(void **state)
{
	struct sigaction action = {.sa_handler = on_signal};

	(void)state;
	sigaction(SIGUSR1, &action, NULL);
	for (size_t i = 0; i < COMPILED_COUNT; i++) {
		below = compiled[i];
		raise(SIGUSR1);
	}
	assert_int_equal(looks, COMPILED_COUNT);
}

/* A signal that arrives at an instruction that makes no call. */
static void interrupted(void **state)
{
	struct sigaction action = {.sa_handler = on_signal};

	(void)state;
	sigaction(SIGTRAP, &action, NULL);
#if defined(__x86_64__)
	__asm__ volatile("int3");
	assert_int_equal(looks, 1);
#endif
}

static void raise_one(void)
{
	raise(SIGUSR2);
}

static void on_an_alternate_stack(void **state)
{
	static char room[64 * 1024];
	stack_t stack = {.ss_sp = room, .ss_size = sizeof(room)};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	(void)state;
	assert_int_equal(sigaltstack(&stack, NULL), 0);
	sigaction(SIGUSR2, &action, NULL);
	at_least = 9;
	raise_one();
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	assert_int_equal(looks, 1);
}

/* Unreadable pages lie on both sides. */
static char *guarded(size_t size)
{
	char *map = mmap(NULL, size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(map + 4096, size, PROT_READ | PROT_WRITE), 0);
	return map + 4096;
}

static void coroutine(void)
{
	at_least = 3;
	for (const struct chain *chain = compiled[2]->list; chain->name; chain++) {
		if (strcmp(chain->name, "huge") && strcmp(chain->name, "deep"))
			chain->call(look);
	}
}

static void in_a_coroutine(void **state)
{
	ucontext_t here, there;
	size_t size = 32 * 1024;

	(void)state;
	getcontext(&there);
	there.uc_stack.ss_sp = guarded(size);
	there.uc_stack.ss_size = size;
	there.uc_link = &here;
	makecontext(&there, coroutine, 0);
	swapcontext(&here, &there);
	assert_int_equal(munmap((char *)there.uc_stack.ss_sp - 4096, size + 8192), 0);
	assert_true(looks >= 10);
}

/* While a thread's frames are being unwound, the unwinder's own frames are among them. */
static void clean_up(void *context)
{
	(void)context;
	at_least = 4;
	compiled[2]->list[0].call(look);
}

static void *exits(void *context)
{
	pthread_cleanup_push(clean_up, NULL);
	pthread_exit(context);
	pthread_cleanup_pop(0);
	return NULL;
}

static void while_others_unwind(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, exits, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(looks, 1);
}

/* ---- what must not be read ------------------------------------------------------------------ */

static void look_alone(void)
{
	struct walk walk;

	for (int ask = 0; ask < 2; ask++) {
		walk_take(&walk, ask);
		assert_true(walk.count >= 1);
	}
	looks++;
}

#if defined(__x86_64__)
/* A stack whose chain does not end: unreadable memory follows its first frame. */
static __attribute__((noinline)) void on_stack(char *top, void (*function)(void))
{
	__asm__ volatile("movq %%rsp, %%rbx\n\t"
			 "movq %0, %%rsp\n\t"
			 "callq *%1\n\t"
			 "movq %%rbx, %%rsp"
			 :
			 : "r"(top), "r"(function)
			 : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
			   "memory");
}

static void a_stack_that_ends_at_a_guard(void **state)
{
	size_t size = 16 * 1024;
	char *stack = guarded(size);

	(void)state;
	for (size_t left = 0; left < 512; left += 16)
		on_stack(stack + size - left, look_alone);
	assert_int_equal(looks, 32);
	munmap(stack - 4096, size + 8192);
}
#endif

static void without_asking(void **state)
{
	struct walk asked, silent;

	(void)state;
	walk_take(&asked, true);
	walk_take(&silent, false);
	assert_int_equal(asked.count, silent.count);
	assert_memory_equal(asked.frames + 1, silent.frames + 1,
			    (size_t)(asked.count - 1) * sizeof(asked.frames[0]));
	each_chain(look_alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(as_compilers_compile, each_time),
		cmocka_unit_test_setup(mixed, each_time),
		cmocka_unit_test_setup(in_a_thread, each_time),
		cmocka_unit_test_setup(in_a_signal_handler, each_time),
		cmocka_unit_test_setup(interrupted, each_time),
		cmocka_unit_test_setup(on_an_alternate_stack, each_time),
		cmocka_unit_test_setup(in_a_coroutine, each_time),
		cmocka_unit_test_setup(while_others_unwind, each_time),
#if defined(__x86_64__)
		cmocka_unit_test_setup(a_stack_that_ends_at_a_guard, each_time),
#endif
		cmocka_unit_test_setup(without_asking, each_time),
	};

	return cmocka_run_group_tests_name("unwind", tests, set_up, NULL);
}
