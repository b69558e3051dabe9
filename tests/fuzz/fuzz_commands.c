/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs ps, stack and ctl on the trace of a live process. The file changes between any two of their
 * reads: bytes are overwritten, and it is truncated and extended. Their output must be safe to print.
 */
#include "harmless.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "run_command.h"
#include "tlstall/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
ssize_t __real_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset);

#define INPUT_MOST (64u << 10) /* longer inputs are cut: the file is rewritten for each command */

/* The trace file and its unchanged contents. */
static struct {
	char directory[256], path[320];
	int fd; /* -1: the file does not change now */
	uint8_t bytes[INPUT_MOST];
	size_t size;
} file = {.fd = -1};

static pid_t child; /* the process that the trace claims to be of; it only waits */
static uint64_t random_state;

static uint64_t next(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % limit;
}

/* ---- changing the file ------------------------------------------------------------------ */

static void write_whole(void)
{
	if (pwrite(file.fd, file.bytes, file.size, 0) < 0 || ftruncate(file.fd, (off_t)file.size))
		abort();
}

static void change_file(void)
{
	static const uint64_t telling[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX};
	uint64_t value = telling[next(sizeof(telling) / sizeof(*telling))];
	/* mostly keep the magic number and the version: without them nothing else is read */
	uint64_t least = next(64) ? 32 : 0, within = next(2) && file.size > 4096 ? 4096 : file.size;

	switch (next(16)) {
	case 0:
		write_whole();
		return;
	case 1:
		if (ftruncate(file.fd, (off_t)next(file.size + 4096)))
			abort();
		return;
	default:
		if (pwrite(file.fd, &value, 1 + next(8), (off_t)(least + next(within))) < 0)
			abort();
	}
}

ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset)
{
	if (file.fd >= 0 && !next(6))
		change_file();
	return __real_pread(fd, buffer, size, offset);
}

/* ---- making the trace one of a live process -------------------------------------------------- */

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t start_of(pid_t pid)
{
	char path[32], text[1024] = "";
	unsigned long long start = 0;
	const char *fields;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "re");
	if (stat && fgets(text, sizeof(text), stat) && (fields = strrchr(text, ')')))
		sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &start);
	if (stat)
		fclose(stat);
	return start;
}

static void revive_handshakes(const struct tlstall_section *section, uint64_t now)
{
	struct tlstall_handshake h;
	size_t size = section->entry_size < sizeof(h) ? section->entry_size : sizeof(h);

	if (size < TLSTALL_HANDSHAKE_LEAST)
		return;
	for (uint64_t i = 0; i < section->count && i < 64; i++) {
		uint64_t at = section->offset + i * section->entry_size;

		if (at > file.size || file.size - at < size)
			return;
		memcpy(&h, file.bytes + at, size);
		if (!h.number || !next(4))
			continue;
		h.status = TLSTALL_SLOT_LIVE;
		h.end = h.outcome = 0;
		h.process = 0;
		h.tid = (uint32_t)child;
		h.start = h.progress = now - next(20) * 1000000000u;
		h.enter = next(2) ? now - next(1000000000) : 0;
		memcpy(file.bytes + at, &h, size);
		for (uint64_t left = next(4); left; left--)
			file.bytes[at + TLSTALL_HANDSHAKE_LEAST / 4 + next(size - TLSTALL_HANDSHAKE_LEAST / 4)] = next(2) ? 0xff : (uint8_t)next(256);
	}
}

static void revive_process(const struct tlstall_section *section, uint64_t start)
{
	struct tlstall_process process;

	if (section->offset > file.size || file.size - section->offset < sizeof(process))
		return;
	memcpy(&process, file.bytes + section->offset, sizeof(process));
	process.pid = (uint32_t)child;
	process.start_time = start;
	process.commit = 1;
	process.exited = 0;
	process.exit_ticks = process.pid_namespace = 0;
	memcpy(file.bytes + section->offset, &process, sizeof(process));
}

static void take_boot_id(char *id, size_t size)
{
	FILE *from = fopen("/proc/sys/kernel/random/boot_id", "re");

	memset(id, 0, size);
	if (from && fgets(id, (int)size, from))
		id[strcspn(id, "\n")] = '\0';
	if (from)
		fclose(from);
}

static void revive(void)
{
	struct tlstall_clock_pair now = {now_ns(CLOCK_MONOTONIC), now_ns(CLOCK_MONOTONIC), now_ns(CLOCK_REALTIME)};
	static uint64_t start;
	struct tlstall_header header;

	if (!start)
		start = start_of(child);
	memcpy(&header, file.bytes, sizeof(header));
	header.pid = (uint32_t)child;
	header.start_time = start;
	header.clock_source = TLSTALL_CLOCK_MONOTONIC;
	header.first = header.last = now;
	header.exited = header.detached = 0;
	header.exit_ticks = header.pid_namespace = 0;
	header.boottime_offset_ns = header.monotonic_offset_ns = 0;
	memset(header.program, 0, sizeof(header.program));
	take_boot_id(header.boot_id, sizeof(header.boot_id));
	revive_process(&header.section[TLSTALL_SECTION_PROCESSES], start);
	revive_handshakes(&header.section[TLSTALL_SECTION_HANDSHAKES], now.ticks);
	memcpy(file.bytes, &header, sizeof(header));
}

/* ---- commands ---------------------------------------------------------------------------- */

static void run_one(void)
{
	char pid[16];
	const struct {
		const struct command *command;
		const char *words[5];
	} runs[] = {
		{&command_ps, {"ps"}},
		{&command_ps, {"ps", "--all"}},
		{&command_ps, {"ps", "--all", "--format", "jsonl"}},
		{&command_stack, {"stack", pid}},
		{&command_ctl, {"ctl", pid}},
		{&command_ctl, {"ctl", pid, "watch", "stacks=off"}},
	};
	uint64_t which = next(sizeof(runs) / sizeof(*runs));
	char *said;

	snprintf(pid, sizeof(pid), "%d", child);
	said = run_command(runs[which].command, runs[which].words);
	need_harmless(said, true);
	free(said);
}

/* ---- setup ----------------------------------------------------------------------------- */

static void remove_all(void)
{
	unlink(file.path);
	rmdir(file.directory);
}

static void start(void)
{
	const char *place = getenv("TMPDIR");

	snprintf(file.directory, sizeof(file.directory), "%s/fuzz-XXXXXX", place ? place : "/tmp");
	if (!mkdtemp(file.directory) || setenv("TLSTALL_DIR", file.directory, 1))
		abort();
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* a small program: its symbols are read each time */
		execl("/bin/sleep", "sleep", "1000000", (char *)NULL);
		for (;;)
			pause();
	}
	snprintf(file.path, sizeof(file.path), "%s/%d-%llu-00000000000000aa.tlstall", file.directory, child,
		 (unsigned long long)start_of(child));
	atexit(remove_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* too short to be more than refused; fuzz_trace covers that */
	if (size < sizeof(struct tlstall_header))
		return 0;
	if (!child)
		start();
	random_state = 88172645463325252ull;
	for (size_t i = 0; i < size && i < 4096; i++)
		random_state = (random_state ^ data[i]) * 1099511628211ull;
	random_state |= 1;
	file.size = size < INPUT_MOST ? size : INPUT_MOST;
	memcpy(file.bytes, data, file.size);
	if (next(8))
		revive();
	file.fd = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file.fd < 0)
		abort();
	for (int i = 0; i < 2; i++) {
		write_whole();
		run_one();
	}
	close(file.fd);
	file.fd = -1;
	return 0;
}
