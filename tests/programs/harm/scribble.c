/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that shares its parent's trace, as if taken over by an attacker, writes random bytes all
 * over it while its parent makes handshakes. argv[1] is the seed.
 */
#include "../common.h"

#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define HANDSHAKES 60

struct range {
	uint64_t *from, *to;
};

/* All shared writable mappings: without a trace there are none. */
static int shared_ranges(struct range *ranges, int room)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[5000];
	int count = 0;

	NEED(maps != NULL);
	while (count < room && fgets(line, sizeof(line), maps))
		if (strstr(line, " rw-s ") && sscanf(line, "%lx-%lx", &from, &to) == 2)
			ranges[count++] = (struct range){(uint64_t *)from, (uint64_t *)to};
	fclose(maps);
	return count;
}

static uint64_t state;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* The counts and the first page more often than the rest, where the damage is greatest. */
static void scribble(void)
{
	struct range ranges[8];
	int count = shared_ranges(ranges, 8);

	for (;;) {
		for (int i = 0; i < count; i++) {
			uint64_t words = (uint64_t)(ranges[i].to - ranges[i].from);
			uint64_t at = next_random() % (next_random() & 1 ? words : words < 512 ? words : 512);
			uint64_t value = next_random();

			ranges[i].from[at] = value & 1 ? value : value >> (value >> 8 & 63);
		}
		if (!count)
			pause();
	}
}

/* From a different depth each time, so that the stack is not known yet. */
static __attribute__((noinline)) int shake_hands(int depth)
{
	struct pair pair;
	int good;

	if (depth) {
		good = shake_hands(depth - 1);
		__asm__ volatile("" : "+r"(good)); /* no tail call */
		return good;
	}
	pair = bio_pair(0);
	good = finish(&pair);
	pair_free(&pair);
	return good;
}

int main(int argc, char **argv)
{
	struct pair first = bio_pair(0);
	int good = finish(&first);
	pid_t child;

	NEED(argc == 2);
	state = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15ull | 1;
	child = fork();
	NEED(child >= 0);
	if (!child) {
		NEED(!prctl(PR_SET_PDEATHSIG, SIGKILL));
		scribble();
	}
	for (int i = 0; i < HANDSHAKES; i++)
		good += shake_hands(i % 24);
	pair_free(&first);
	kill(child, SIGKILL);
	NEED(waitpid(child, NULL, 0) == child);
	printf("%d handshakes\n", good);
	return 0;
}
