/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps memory just where `tlstall attach` is about to map its page, at the moment at which it has
 * written its code: argv[1] "below": next to the lowest library, where malloc() maps arenas for
 * threads; "middle": in the middle of the largest unmapped area. Each line of standard input is
 * answered with what became of its contents; then it takes the place again.
 */
#include "../common.h"

#include <malloc.h>
#include <sys/mman.h>

#define ROOM 32768
#define TAIL 256 /* bytes at the end of a library's code that the tool's code covers in part */
#define BYTE 0x5a

static struct {
	const unsigned char *tail;
	unsigned char before[TAIL];
} tails[64];
static unsigned count;
static unsigned long below, middle;
static const char *way;
static unsigned char *_Atomic taken;

static void read_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end, last = 0, largest = 0;
	char line[5000], access[5];

	NEED(maps != NULL);
	count = 0;
	while (fgets(line, sizeof(line), maps) && sscanf(line, "%lx-%lx %4s", &start, &end, access) == 3) {
		if (last && end < 1ul << 47 && start - last > largest) {
			largest = start - last;
			middle = last + largest / 2;
			below = start - (64 << 20);
		}
		last = end;
		if (access[2] != 'x' || !strchr(line, '/') || count == 64)
			continue;
		tails[count].tail = (unsigned char *)end - TAIL;
		memcpy(tails[count].before, tails[count].tail, TAIL);
		count++;
	}
	fclose(maps);
}

/* The tool changes memory, and the compiler does not know. */
static bool code_was_written(void)
{
	__asm__ volatile("" : : : "memory");
	for (unsigned i = 0; i < count; i++) {
		if (memcmp(tails[i].before, tails[i].tail, TAIL))
			return true;
	}
	return false;
}

/* The tool may be faster. */
static void take(void)
{
	unsigned long place = (strcmp(way, "below") ? middle : below) & ~16383ul;
	void *room = mmap((void *)(place - ROOM / 2), ROOM, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (room == MAP_FAILED)
		return;
	memset(room, BYTE, ROOM);
	taken = room;
}

static void *watch(void *unused)
{
	for (;;) {
		read_maps();
		while (!code_was_written())
			;
		take();
		while (taken || code_was_written())
			;
	}
	return unused;
}

static bool is_unchanged(void)
{
	for (unsigned i = 0; i < ROOM; i++) {
		if (taken[i] != BYTE)
			return false;
	}
	return true;
}

static const char *what_became_of_it(void)
{
	bool unchanged = taken && is_unchanged();

	if (!taken)
		return "not taken";
	NEED(munmap(taken, ROOM) == 0);
	taken = NULL;
	return unchanged ? "unchanged" : "changed";
}

int main(int argc, char **argv)
{
	/* makes this a process that uses TLS */
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	pthread_t thread;
	char byte;

	NEED(argc == 2 && ctx && mallopt(M_ARENA_MAX, 1));
	way = argv[1];
	NEED(pthread_create(&thread, NULL, watch, NULL) == 0);
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) == 1) {
		puts(what_became_of_it());
		fflush(stdout);
	}
	return 0;
}
