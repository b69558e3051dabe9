/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace is truncated while the process has reached a limit, so that memory in its place is hard
 * to get. argv[1] selects the limit.
 */
#include "cut.h"

#include <linux/capability.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

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

/* Bytes of this kind that the process has. */
static rlim_t has(const char *kind)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	rlim_t kb = 0;

	while (status && !kb && fgets(line, sizeof(line), status)) {
		if (!strncmp(line, kind, strlen(kind)))
			NEED(sscanf(line + strlen(kind), ": %lu", &kb) == 1);
	}
	NEED(kb);
	fclose(status);
	return kb * 1024;
}

static void set(int which, rlim_t most)
{
	NEED(!setrlimit((unsigned)which, &(struct rlimit){most, most}));
}

static void little_data(void)
{
	set(RLIMIT_DATA, has("VmData") + 1024000);
	cut_off();
}

/* From here on, the heap has what the program and OpenSSL need. */
static void fill_heap(void)
{
	void *warm;

	NEED(mallopt(M_MMAP_THRESHOLD, 32 << 20) && mallopt(M_TRIM_THRESHOLD, 64 << 20));
	warm = malloc(8 << 20);
	NEED(warm);
	memset(warm, 1, 8 << 20);
	free(warm);
}

static void no_address_left(void)
{
	fill_heap();
	cut_off();
	set(RLIMIT_AS, has("VmSize"));
	NEED(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}

static void one_page_may_be_locked(void)
{
	fill_heap();
	NEED(!mlockall(MCL_FUTURE));
	cut_off();
	NEED(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	set(RLIMIT_MEMLOCK, has("VmLck") + 4096);
	NEED(geteuid() != 0 || !seteuid(65534));
}

static void less_address_than_it_has(void)
{
	fill_heap();
	cut_off();
	set(RLIMIT_AS, 1 << 20);
}

/* Root may lock more, unless it cannot. */
static void no_page_may_be_locked(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	fill_heap();
	NEED(!mlockall(MCL_FUTURE));
	cut_off();
	set(RLIMIT_MEMLOCK, 0);
	NEED(!syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	NEED(!syscall(SYS_capset, &header, data));
}

#ifndef SYS_mseal
#define SYS_mseal 462 /* Linux 6.10 */
#endif

/* Nothing may be mapped or moved there. */
static void sealed(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[4096], kind[5];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, kind) == 3 && !strcmp(kind, "rw-s"))
			NEED(!syscall(SYS_mseal, start, end - start, 0) || errno == ENOSYS);
	}
	fclose(maps);
	cut_off();
}

static void sealed_and_cut_in_part(void)
{
	sealed();
	handshake("on what was cut off");
	cut_to(65536);
}

static const struct {
	const char *name;
	void (*reach)(void);
} limits[] = {
	{"no_mapping_left", no_mapping_left},
	{"little_may_be_locked", little_may_be_locked},
	{"one_page_may_be_locked", one_page_may_be_locked},
	{"little_data", little_data},
	{"no_address_left", no_address_left},
	{"less_address_than_it_has", less_address_than_it_has},
	{"no_page_may_be_locked", no_page_may_be_locked},
	{"sealed", sealed},
	{"sealed_and_cut_in_part", sealed_and_cut_in_part},
};

int main(int argc, char **argv)
{
	void (*reach)(void) = NULL;
	struct pair pair = bio_pair(0);

	for (size_t i = 0; argc == 2 && i < sizeof(limits) / sizeof(*limits); i++) {
		if (!strcmp(argv[1], limits[i].name))
			reach = limits[i].reach;
	}
	NEED(reach);
	handshake("first");
	step(pair.client);
	reach();
	handshake("on what was cut off");
	printf("finished %d\n", finish(&pair));
	return 0;
}
