/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds mutated seeds to LLVMFuzzerTestOneInput(), for compilers without libFuzzer: FUZZER SECONDS
 * [FILE...]. Without files, the seeds are tests/golden and tests/fuzz/seeds. If SECONDS is 0, each
 * file is used unchanged, once, to reproduce a failure. The current input when a sanitizer ends
 * the run is in $TMPDIR/fuzz-last-PID. FUZZ_SEED makes a run repeatable.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seed {
	uint8_t *data;
	size_t size;
};

#define SEEDS_MAX 256
#define INPUT_MAX (4u << 20) /* bytes */

static struct seed seeds[SEEDS_MAX];
static unsigned seed_count;
static uint64_t random_state;

/* xorshift64*: good enough to choose what to break. */
static uint64_t random_next(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 2685821657736338717ull;
}

static size_t random_below(size_t limit)
{
	return limit ? (size_t)(random_next() % limit) : 0;
}

static void add_seed(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct seed *seed = &seeds[seed_count];

	if (!file || seed_count == SEEDS_MAX)
		goto out;
	seed->data = malloc(INPUT_MAX);
	if (!seed->data)
		goto out;
	seed->size = fread(seed->data, 1, INPUT_MAX, file);
	seed_count++;
out:
	if (file)
		fclose(file);
}

static void add_seeds(const char *pattern)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			add_seed(found.gl_pathv[i]);
	globfree(&found);
}

/* Mostly near the start, where headers and tables are. */
static size_t random_position(size_t size)
{
	return random_next() % 2 ? random_below(size < 4096 ? size : 4096) : random_below(size);
}

static void overwrite(uint8_t *data, size_t size)
{
	static const uint64_t telling[] = {
		0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
		0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff, 64, 4096,
	};
	size_t width = (size_t)1 << random_below(4);
	size_t at = random_position(size) & ~(width - 1);
	uint64_t value = telling[random_below(sizeof(telling) / sizeof(*telling))];

	if (at + width <= size)
		memcpy(data + at, &value, width);
}

static void copy_within(uint8_t *data, size_t size)
{
	size_t from = random_position(size), to = random_position(size);
	size_t longest = size - (from > to ? from : to);

	memmove(data + to, data + from, random_below(longest < 512 ? longest : 512));
}

static size_t mutate(uint8_t *data, size_t size)
{
	unsigned times = 1 + (unsigned)random_below(8);

	for (unsigned i = 0; i < times && size; i++) {
		switch (random_below(8)) {
		case 0:
			data[random_position(size)] ^= (uint8_t)(1u << random_below(8));
			break;
		case 1:
			data[random_position(size)] = (uint8_t)random_next();
			break;
		case 2:
			copy_within(data, size);
			break;
		case 3:
			if (random_below(4) == 0)
				size = random_below(size + 1);
			break;
		default:
			overwrite(data, size);
		}
	}
	return size;
}

static char last_path[4096];

/*
 * A shared mapping of a file: whatever ends the run, the input is in the file. Each process has its own: one that
 * truncated another's would end it by SIGBUS.
 */
static uint8_t *map_last_input(void)
{
	const char *directory = getenv("TMPDIR");
	void *map;
	int fd;

	snprintf(last_path, sizeof(last_path), "%s/fuzz-last-%d", directory ? directory : "/tmp", (int)getpid());
	fd = open(last_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, INPUT_MAX) != 0)
		return NULL;
	map = mmap(NULL, INPUT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

/* The input in heap memory of its exact size, so that sanitizers catch reads past its end. */
static void give(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static uint64_t fuzz(uint8_t *input, double limit)
{
	time_t end = time(NULL) + (time_t)limit;
	uint64_t runs = 0;

	for (; time(NULL) < end; runs++) {
		const struct seed *seed = &seeds[random_below(seed_count)];

		memcpy(input, seed->data, seed->size);
		give(input, mutate(input, seed->size));
	}
	return runs;
}

int main(int argc, char **argv)
{
	const char *fixed = getenv("FUZZ_SEED");
	double limit = argc > 1 ? atof(argv[1]) : 5;
	uint8_t *input = map_last_input();
	uint64_t start = fixed ? strtoull(fixed, NULL, 0) : (uint64_t)time(NULL) * 2 + 1;

	if (!input) {
		fprintf(stderr, "fuzz: no room for the input: %s\n", strerror(errno));
		return 1;
	}
	for (int i = 2; i < argc; i++)
		add_seed(argv[i]);
	if (argc <= 2) {
		add_seeds("tests/golden/*.tlstall");
		add_seeds("tests/fuzz/seeds/*");
	}
	if (!seed_count) {
		fprintf(stderr, "fuzz: no seeds\n");
		return 1;
	}
	for (unsigned i = 0; i < seed_count; i++)
		give(seeds[i].data, seeds[i].size);
	random_state = start ? start : 1;
	if (limit > 0)
		printf("%llu inputs from %u seeds, FUZZ_SEED=%llu\n",
		       (unsigned long long)fuzz(input, limit), seed_count, (unsigned long long)start);
	unlink(last_path);
	return 0;
}
