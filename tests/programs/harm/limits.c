/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace is truncated while the process has reached a limit, so that memory in its place is hard
 * to get. argv[1] selects the limit.
 */
#include "cut.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* Each second page gets a mapping of its own, until there are as many as the kernel allows. */
static void take_all_mappings(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	size_t most, at = 0;
	char *room;

	NEED(file && fscanf(file, "%zu", &most) == 1);
	fclose(file);
	room = mmap(NULL, most * 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	NEED(room != MAP_FAILED);
	while (!mprotect(room + at, 4096, PROT_READ))
		at += 8192;
}

static void no_mapping_left(void)
{
	take_all_mappings();
	cut_to(65536);
}

/* Less than a trace has, but enough for the program. */
#define LOCKED_MOST (1u << 20)

static void little_may_be_locked(void)
{
	NEED(!setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){LOCKED_MOST, LOCKED_MOST}));
	NEED(!mlockall(MCL_FUTURE));
	cut_off();
	/* root may lock more */
	NEED(geteuid() != 0 || !seteuid(65534));
}

static void little_data(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	rlim_t kb = 0;

	while (status && !kb && fgets(line, sizeof(line), status))
		sscanf(line, "VmData: %lu", &kb);
	NEED(kb);
	fclose(status);
	kb = (kb + 1000) * 1024;
	NEED(!setrlimit(RLIMIT_DATA, &(struct rlimit){kb, kb}));
	cut_off();
}

int main(int argc, char **argv)
{
	void (*const reach)(void) = argc != 2				     ? NULL
				    : !strcmp(argv[1], "no_mapping_left")    ? no_mapping_left
				    : !strcmp(argv[1], "little_may_be_locked") ? little_may_be_locked
									     : little_data;
	struct pair pair = bio_pair(0);

	NEED(reach);
	handshake("first");
	step(pair.client);
	reach();
	handshake("on what was cut off");
	printf("finished %d\n", finish(&pair));
	return 0;
}
