/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of a live process's threads, from outside and by ptrace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/unwind.h"
#include "symbols/symbols.h"
#include "unit/children.h"

/* A chain of named frames, each with registers to save. */
static __attribute__((noinline)) int innermost(int fd, volatile int *depth)
{
	char byte;
	int got = (int)read(fd, &byte, 1);

	return got + *depth;
}

static __attribute__((noinline)) int middle(int fd, int n)
{
	volatile int depth = n;
	int sum = innermost(fd, &depth);

	return sum + depth * n;
}

/*
 * The position of a function among the frames, -1: none. Children have
 * the same code at the same addresses.
 */
static int frame_of(const struct unwound *unwound, const char *function)
{
	struct symbols *symbols = symbols_of_process(getpid());
	struct symbol symbol;
	int found = -1;

	for (unsigned i = 0; i < unwound->count && found < 0; i++) {
		if (symbols_find(symbols, unwound->frames[i], i > 0, &symbol) && symbol.function &&
		    !strncmp(symbol.function, function, strlen(function))) /* ".constprop.0" */
			found = (int)i;
	}
	symbols_free(symbols);
	return found;
}

static void check_chain(const struct unwound *unwound)
{
	int inner = frame_of(unwound, "innermost"), outer = frame_of(unwound, "middle");

	assert_true(unwound->whole);
	assert_true(inner >= 1 && outer == inner + 1);
	assert_true(frame_of(unwound, "main") > outer);
}

/* In a child: a process cannot ptrace its own threads. */
static void sleep_in_middle(void *argument)
{
	(void)argument;
	child_say_ready();
	if (middle(child_end_fd, 3) <= 0)
		_exit(1);
}

static void unwind_until_it_reads(struct unwinder *unwinder, pid_t tid, struct unwound *out)
{
	const struct timespec pause = {0, 1000000};

	for (int i = 0; i < 10000; i++) {
		assert_int_equal(unwind_thread(unwinder, tid, false, out), 0);
		if (out->place.where == THREAD_SYSCALL && out->place.number == SYS_read)
			return;
		nanosleep(&pause, NULL);
	}
}

/*
 * Sanitizers keep frame pointers, so frames can be found only with that register, but from outside
 * the kernel reports only the stack pointer.
 */
#ifdef __SANITIZE_ADDRESS__
#define TOLD_QUIETLY false
#else
#define TOLD_QUIETLY true
#endif

static void stack_of_a_blocked_thread(void **state)
{
	struct child child = child_start(sleep_in_middle, NULL);
	struct unwinder *unwinder = unwind_open(child.pid);
	struct unwound quietly, stopped;

	(void)state;
	assert_non_null(unwinder);
	unwind_until_it_reads(unwinder, child.pid, &quietly);
	assert_int_equal(unwind_thread(unwinder, child.pid, true, &stopped), 0);
	check_chain(&stopped);
	if (TOLD_QUIETLY) {
		check_chain(&quietly);
		/* with ptrace the same, frame for frame */
		assert_int_equal(quietly.count, stopped.count);
		assert_memory_equal(quietly.frames, stopped.frames,
				    stopped.count * sizeof(uint64_t));
	}
	/* It was released. */
	unwind_until_it_reads(unwinder, child.pid, &quietly);
	assert_int_equal(quietly.place.number, SYS_read);
	unwind_close(unwinder);
	child_kill(&child);
}

static void loop_for_ever(void *argument)
{
	(void)argument;
	child_say_ready();
	for (volatile int i = 0;; i++)
		;
}

static void stack_of_a_running_thread(void **state)
{
	struct child child = child_start(loop_for_ever, NULL);
	struct unwinder *unwinder = unwind_open(child.pid);
	struct unwound unwound;

	(void)state;
	assert_non_null(unwinder);
	do {
		unwind_thread(unwinder, child.pid, false, &unwound);
	} while (unwound.place.where == THREAD_SYSCALL); /* still in its write() */
	assert_int_equal(unwound.place.where, THREAD_RUNNING);
	assert_int_equal(unwound.count, 0);
	/* on a busy machine, write() may take a while to return */
	do {
		assert_int_equal(unwind_thread(unwinder, child.pid, true, &unwound), 0);
		assert_true(frame_of(&unwound, "loop_for_ever") >= 0);
	} while (frame_of(&unwound, "loop_for_ever") > 0);
	unwind_close(unwinder);
	child_kill(&child);
}

static void no_stack_of_the_gone(void **state)
{
	struct child child = child_start(child_only_wait, NULL);
	struct unwinder *unwinder = unwind_open(child.pid);
	struct unwound unwound;

	(void)state;
	assert_non_null(unwinder);
	child_kill(&child);
	assert_int_equal(unwind_thread(unwinder, child.pid, false, &unwound), 0);
	assert_int_equal(unwound.place.where, THREAD_GONE);
	assert_int_equal(unwound.count, 0);
	assert_int_equal(unwind_thread(unwinder, child.pid, true, &unwound), -1);
	assert_null(unwind_open(child.pid));
	unwind_close(unwinder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_of_a_blocked_thread),
		cmocka_unit_test(stack_of_a_running_thread),
		cmocka_unit_test(no_stack_of_the_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
