/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled with different FLAGS, and linked together. */
#include "chains.h"

#include <alloca.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile int keep;

static NOINLINE void plain(leaf_function *leaf)
{
	leaf();
	keep++;
}

static NOINLINE void down(leaf_function *leaf, int depth)
{
	if (depth)
		down(leaf, depth - 1);
	else
		leaf();
	keep++;
}

static void recursive(leaf_function *leaf)
{
	down(leaf, 20);
}

/* Deeper than the recorded depth, over many pages. */
static NOINLINE void fat(leaf_function *leaf, int depth)
{
	volatile char room[5000];

	room[0] = (char)depth;
	if (depth)
		fat(leaf, depth - 1);
	else
		leaf();
	keep += room[0];
}

static void deep(leaf_function *leaf)
{
	fat(leaf, 60);
}

static NOINLINE void use(volatile char *room)
{
	room[0] = 1;
	keep += room[0];
}

static NOINLINE void with_alloca(leaf_function *leaf)
{
	volatile char *room = alloca((size_t)(100 + keep % 50));

	use(room);
	leaf();
	use(room);
}

static NOINLINE void realigned(leaf_function *leaf)
{
	_Alignas(128) volatile char room[300];

	use(room);
	leaf();
	use(room);
}

static NOINLINE void realigned_and_alloca(leaf_function *leaf)
{
	_Alignas(64) volatile char room[100];
	volatile char *more = alloca((size_t)(2000 + keep % 50));

	use(room);
	use(more);
	leaf();
	use(room);
	use(more);
}

static NOINLINE void huge(leaf_function *leaf)
{
	volatile char room[600000];

	use(room);
	leaf();
	use(room);
}

/* Uses all registers that a function must preserve for its caller. */
static NOINLINE void many_registers(leaf_function *leaf)
{
	int a = keep, b = a + 1, c = b * 3, d = c ^ a, e = d + b, f = e * c, g = f - d;

	leaf();
	keep = a + b + c;
	leaf();
	keep += d + e + f + g;
}

static jmp_buf back;

static NOINLINE __attribute__((noreturn)) void goes_away(leaf_function *leaf)
{
	leaf();
	longjmp(back, 1);
}

/*
 * The call is the last instruction of its function, so the return address belongs to the next one.
 */
static NOINLINE void noreturn_call(leaf_function *leaf)
{
	goes_away(leaf);
}

static void noreturn_at_the_end(leaf_function *leaf)
{
	if (!setjmp(back))
		noreturn_call(leaf);
	keep++;
}

static leaf_function *in_comparison;

static int compare(const void *a, const void *b)
{
	in_comparison();
	return (int)((const char *)a - (const char *)b);
}

static void through_libc(leaf_function *leaf)
{
	int numbers[] = {1, 2};

	in_comparison = leaf;
	qsort(numbers, 2, sizeof(numbers[0]), compare);
}

static NOINLINE int many_arguments(int a, int b, int c, int d, int e, int f, int g, int h, int i,
				   leaf_function *leaf)
{
	leaf();
	return a + b + c + d + e + f + g + h + i;
}

static NOINLINE void arguments_on_the_stack(leaf_function *leaf)
{
	int i = keep;

	keep = many_arguments(i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7, i + 8, leaf);
}

static const struct chain list[] = {
	{"plain", plain},
	{"recursive", recursive},
	{"deep", deep},
	{"with alloca", with_alloca},
	{"realigned", realigned},
	{"realigned and alloca", realigned_and_alloca},
	{"huge", huge},
	{"many registers", many_registers},
	{"noreturn at the end", noreturn_at_the_end},
	{"through libc", through_libc},
	{"arguments on the stack", arguments_on_the_stack},
	{NULL, NULL},
};

extern const struct chains CHAINS;
const struct chains CHAINS = {FLAGS, list};
