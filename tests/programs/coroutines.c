/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes in coroutines: stacks of different sizes at the same place, with nothing mapped above
 * or below. A stack walk that remembers the extent of an earlier stack would crash here.
 */
#include "common.h"

#include <alloca.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAGE 4096u
#define ROOM (1024u << 10)
#define ROUNDS 48

static ucontext_t back;
static unsigned good;

static void shake_hands(void)
{
	struct pair pair = bio_pair(0);

	good += finish(&pair);
	pair_free(&pair);
}

static void __attribute__((noinline)) deeper(size_t bytes)
{
	volatile char *room = alloca(bytes);

	room[0] = room[bytes - 1] = 1;
	shake_hands();
	room[0] = 0;
}

static void near_the_top(void)
{
	shake_hands();
	shake_hands();
}

static void far_below(void)
{
	deeper(1000);
	deeper(60000);
	deeper(16);
}

static void run(char *room, unsigned round)
{
	static void (*const entries[])(void) = {near_the_top, far_below, shake_hands};
	static const size_t sizes[] = {512u << 10, 160u << 10, 256u << 10, 192u << 10};
	size_t size = sizes[round % 4];
	char *top = room + ROOM - PAGE * (1 + round % 7);
	ucontext_t coroutine;

	NEED(mprotect(top - size, size, PROT_READ | PROT_WRITE) == 0);
	NEED(getcontext(&coroutine) == 0);
	coroutine.uc_stack.ss_sp = top - size;
	coroutine.uc_stack.ss_size = size;
	coroutine.uc_link = &back;
	makecontext(&coroutine, entries[round % 3], 0);
	NEED(swapcontext(&back, &coroutine) == 0);
	NEED(madvise(top - size, size, MADV_DONTNEED) == 0);
	NEED(mprotect(top - size, size, PROT_NONE) == 0);
}

int main(void)
{
	char *room = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(room != MAP_FAILED);
	for (unsigned round = 0; round < ROUNDS; round++) {
		run(room, round);
		if (round % 5 == 0)
			shake_hands();
	}
	munmap(room, ROOM);
	printf("%u handshakes of both sides\n", good);
	return 0;
}
