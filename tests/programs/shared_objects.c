/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSL objects in memory shared between processes, as in Kamailio: one process makes them, another
 * drives the handshake, a third frees them, and their memory is reused. Only one process runs at a
 * time, so nothing needs a lock.
 */
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common.h"

/* ---- the program's own allocator: size classes of powers of two, with a free list each ---- */

#define ARENA (64u << 20)
#define CLASSES 32

struct piece {
	size_t class;
	struct piece *next;
	char memory[] __attribute__((aligned(16)));
};

static struct arena {
	size_t used;
	struct piece *free[CLASSES];
	struct pair pair;
	char memory[] __attribute__((aligned(16)));
} *arena;

static struct piece *piece_of(void *memory)
{
	return (struct piece *)((char *)memory - offsetof(struct piece, memory));
}

static void *allocate(size_t size, const char *file, int line)
{
	size_t class = 5;
	struct piece *piece;

	(void)file, (void)line;
	while (1ul << class < size + sizeof(*piece))
		class++;
	piece = arena->free[class];
	if (piece) {
		arena->free[class] = piece->next;
		return piece->memory;
	}
	if (arena->used + (1ul << class) > ARENA - sizeof(*arena))
		return NULL;
	piece = (struct piece *)(arena->memory + arena->used);
	arena->used += 1ul << class;
	piece->class = class;
	return piece->memory;
}

static void release(void *memory, const char *file, int line)
{
	struct piece *piece = memory ? piece_of(memory) : NULL;

	(void)file, (void)line;
	if (!piece)
		return;
	piece->next = arena->free[piece->class];
	arena->free[piece->class] = piece;
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
	size_t room = memory ? (1ul << piece_of(memory)->class) - sizeof(struct piece) : 0;
	void *larger;

	if (memory && size <= room)
		return memory;
	larger = allocate(size, file, line);
	if (larger && memory) {
		memcpy(larger, memory, room);
		release(memory, file, line);
	}
	return larger;
}

/* ---- the processes -------------------------------------------------------------------- */

/* Set by one process, counted in another. */
static unsigned seen;
static void on_info(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	seen |= (unsigned)where & (SSL_CB_HANDSHAKE_START | SSL_CB_HANDSHAKE_DONE);
}

static void make(struct pair *pair)
{
	*pair = bio_pair(0);
	set_role(pair);
	SSL_set_info_callback(pair->client, on_info);
}

static void shake_hands(struct pair *pair)
{
	printf("shaken hands: %d\n", finish(pair));
	printf("callback saw %#x\n", seen);
}

static void begin(struct pair *pair)
{
	printf("begun: %s\n", error_name(step(pair->client)));
}

static void copy(struct pair *pair)
{
	SSL *copy = SSL_dup(pair->client);

	printf("copied: %d\n", copy && SSL_get_info_callback(copy) == on_info);
	SSL_free(copy);
}

static void dispose(struct pair *pair)
{
	pair_free(pair);
	printf("freed\n");
}

static void in_a_process(void (*work)(struct pair *pair))
{
	int status;
	pid_t child = fork();

	NEED(child >= 0);
	if (!child) {
		work(&arena->pair);
		fflush(stdout);
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child);
	if (status)
		printf("status %#x\n", status);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(arena != MAP_FAILED);
	NEED(CRYPTO_set_mem_functions(allocate, reallocate, release) == 1);
	/* lets OpenSSL load everything that it loads late, before the processes part */
	make(&arena->pair);
	shake_hands(&arena->pair);
	dispose(&arena->pair);
	seen = 0;
	for (int round = 0; round < 3; round++) {
		in_a_process(make);
		in_a_process(copy);
		in_a_process(shake_hands);
		in_a_process(dispose);
	}
	/* another process continues it, and one that never saw it frees it unfinished */
	in_a_process(make);
	in_a_process(begin);
	in_a_process(shake_hands);
	in_a_process(dispose);
	in_a_process(make);
	in_a_process(begin);
	in_a_process(dispose);
	/* the first process makes and frees one more, in memory that the others' objects had */
	make(&arena->pair);
	in_a_process(shake_hands);
	dispose(&arena->pair);
	return 0;
}
