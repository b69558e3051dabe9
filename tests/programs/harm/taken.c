/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps memory just where `tlstall attach` is about to map its page, at the moment at which it has
 * written its code: argv[1] "below": next to the lowest library, where malloc() maps arenas for
 * threads; "middle": in the middle of the largest unmapped area. Answers each line of standard input,
 * and finally says whether the contents changed.
 */
#include "../common.h"

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
static _Atomic bool known, over;

static void read_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end, last = 0, largest = 0;
	char line[5000], access[5];

	NEED(maps != NULL);
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

static bool code_was_written(void)
{
	for (unsigned i = 0; i < count; i++) {
		if (memcmp(tails[i].before, tails[i].tail, TAIL))
			return true;
	}
	return false;
}

static void *take(void *unused)
{
	unsigned long place = (strcmp(way, "below") ? middle : below) & ~16383ul;
	void *room;

	while (!known || !code_was_written()) {
		if (over)
			return unused;
	}
	room = mmap((void *)(place - ROOM / 2), ROOM, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	NEED(room != MAP_FAILED);
	memset(room, BYTE, ROOM);
	taken = room;
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

int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	pthread_t thread;
	char byte;

	NEED(argc == 2 && ctx);
	way = argv[1];
	NEED(pthread_create(&thread, NULL, take, NULL) == 0);
	read_maps();
	known = true;
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) == 1) {
		puts("x");
		fflush(stdout);
	}
	over = true;
	NEED(pthread_join(thread, NULL) == 0);
	SSL_CTX_free(ctx);
	puts(!taken ? "not taken" : is_unchanged() ? "unchanged" : "changed");
	return 0;
}
