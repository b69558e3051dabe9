/* SPDX-License-Identifier: Apache-2.0 */
#include "look/threads.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/polled.h"
#include "look/memory.h"

/* ---- where they are ---------------------------------------------------------------- */

/* Finds the outermost frame that drives a handshake, or else the outermost in libssl. */
static void find_call(const struct libraries *libraries, struct process_thread *thread)
{
	thread->in_library = -1;
	thread->op = OPS;
	for (unsigned i = 0; i < thread->unwound.count; i++) {
		enum op op;

		if (!libraries_at(libraries, thread->unwound.frames[i], &op) ||
		    (op == OPS && thread->op != OPS))
			continue;
		thread->in_library = (int)i;
		thread->op = op;
	}
}

/* Its id in its own namespace: the last one that the kernel lists. */
static pid_t own_id(pid_t pid, pid_t tid)
{
	char path[64], line[256];
	const char *last;
	pid_t own = tid;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		last = strncmp(line, "NSpid:", 6) ? NULL : strrchr(line, '\t');
		if (last)
			own = atoi(last);
	}
	if (file)
		fclose(file);
	return own;
}

static bool add(struct process_threads *threads, struct unwinder *unwinder,
		const struct libraries *libraries, pid_t tid)
{
	struct process_thread *list =
		reallocarray(threads->list, threads->count + 1, sizeof(*list)), *thread;

	if (!list)
		return false;
	threads->list = list;
	thread = &list[threads->count++];
	*thread = (struct process_thread){.tid = tid, .own = own_id(threads->pid, tid)};
	unwind_thread(unwinder, tid, false, &thread->unwound);
	find_call(libraries, thread);
	return true;
}

int threads_read(pid_t pid, int memory, const struct libraries *libraries,
		 struct process_threads *out)
{
	struct unwinder *unwinder = unwind_open(pid);
	char path[32];
	struct dirent *entry;
	DIR *tasks;
	bool fits = true;

	*out = (struct process_threads){.pid = pid, .memory = memory};
	if (!unwinder)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && fits && (entry = readdir(tasks))) {
		if (entry->d_name[0] != '.')
			fits = add(out, unwinder, libraries, atoi(entry->d_name));
	}
	if (tasks)
		closedir(tasks);
	unwind_close(unwinder);
	if (tasks && fits)
		return 0;
	threads_free(out);
	return -1;
}

void threads_free(struct process_threads *threads)
{
	free(threads->list);
	*threads = (struct process_threads){0};
}

/* ---- words on a stack ----------------------------------------------------------------- */

#define STACK_WORDS 16384u

struct words {
	uint64_t *list; /* room for STACK_WORDS */
	unsigned count;
};

static void read_stack(const struct process_threads *threads, const struct regions *regions,
		       const struct process_thread *thread, struct words *out)
{
	uint64_t sp = thread->unwound.place.sp & ~7ull;
	const struct region *region = thread->unwound.count ? regions_find(regions, sp) : NULL;
	uint64_t words = region ? (region->end - sp) / sizeof(*out->list) : 0;

	out->count = words < STACK_WORDS ? (unsigned)words : STACK_WORDS;
	if (!memory_read(threads->memory, sp, out->list, out->count * sizeof(*out->list)))
		out->count = 0;
}

/* How deep the address lies on the stack; UINT32_MAX: nowhere. */
static unsigned depth_of(const struct words *words, uint64_t address)
{
	for (unsigned i = 0; i < words->count; i++) {
		if (words->list[i] == address)
			return i;
	}
	return UINT32_MAX;
}

struct join {
	const struct process_threads *threads;
	const struct libraries *libraries;
	const struct ssl_object *objects;
	const int *fds;
	unsigned count;
	int *out;
	bool *inside;
};

/* The innermost call's arguments lie nearest to the top of the stack. */
static void join_innermost(struct join *join, unsigned thread, const struct words *words)
{
	unsigned least = UINT32_MAX, found = 0;

	for (unsigned i = 0; i < join->count; i++) {
		unsigned depth =
			join->objects[i].in_init ? depth_of(words, join->objects[i].address)
						 : UINT32_MAX;

		if (depth < least) {
			least = depth;
			found = i;
		}
	}
	if (least == UINT32_MAX)
		return;
	join->out[found] = (int)thread;
	join->inside[found] = true;
}

/* Libraries of whose functions OpenSSL may call each other; all other code is a callback's. */
static bool is_between(const struct regions *regions, uint64_t address)
{
	const struct region *region = regions_find(regions, address);

	return region && !strstr(region->path, "/libcrypto") && !strstr(region->path, "/libc.") &&
	       !strstr(region->path, "/libc-");
}

/* A call is inside of another: libssl, then a callback, then libssl again. */
static bool is_nested(const struct join *join, const struct regions *regions,
		      const struct process_thread *thread)
{
	bool inner = false, left = false;
	enum op op;

	for (int i = 0; i <= thread->in_library; i++) {
		uint64_t address = thread->unwound.frames[i];

		if (!libraries_at(join->libraries, address, &op))
			left = left || (inner && is_between(regions, address));
		else if (left)
			return true;
		else
			inner = true;
	}
	return false;
}

/* The outer call's object is the only other one on the stack. */
static void join_outer(struct join *join, unsigned thread, const struct words *words)
{
	unsigned count = 0, found = 0;

	for (unsigned i = 0; i < join->count; i++) {
		if (join->out[i] >= 0 || !join->objects[i].in_init ||
		    depth_of(words, join->objects[i].address) == UINT32_MAX)
			continue;
		found = i;
		count++;
	}
	if (count != 1)
		return;
	join->out[found] = (int)thread;
	join->inside[found] = true;
}

static void join_mentioned(struct join *join, unsigned thread, const struct words *words)
{
	for (unsigned i = 0; i < join->count; i++) {
		if (join->out[i] < 0 && join->objects[i].in_init &&
		    depth_of(words, join->objects[i].address) != UINT32_MAX)
			join->out[i] = (int)thread;
	}
}

/* ---- what they wait for ------------------------------------------------------------------ */

#define POLLED 4096

static bool polls(const struct process_threads *threads, const struct thread_place *place, int fd)
{
	uint64_t count = place->arguments[1] < POLLED ? place->arguments[1] : POLLED;
	struct pollfd one;

	for (uint64_t i = 0; i < count; i++) {
		if (!memory_read(threads->memory, place->arguments[0] + i * sizeof(one), &one,
				 sizeof(one)))
			return false;
		if (one.fd == fd)
			return true;
	}
	return false;
}

static bool waits_for(const struct process_threads *threads, const struct process_thread *thread,
		      int fd)
{
	struct thread_place place = thread->unwound.place;

	if (place.where != THREAD_SYSCALL || fd < 0)
		return false;
	thread_resumed(threads->pid, thread->tid, &place);
	switch (place.number) {
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		return polls(threads, &place, fd);
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
		return polled_by_epoll(threads->pid, (int)place.arguments[0], fd);
	default:
		return false;
	}
}

/* Calls that read or write, as BIOs do, not those that wait for many descriptors. */
static bool moves_bytes(long number)
{
	return number == SYS_read || number == SYS_recvfrom || number == SYS_recvmsg ||
	       number == SYS_readv || number == SYS_write || number == SYS_sendto ||
	       number == SYS_sendmsg || number == SYS_writev;
}

/*
 * A thread that blocks on the socket of an unfinished handshake is inside OpenSSL, even if its
 * stack cannot be unwound that far.
 */
static void join_blocked(struct join *join, unsigned object)
{
	const struct process_threads *threads = join->threads;

	for (unsigned i = 0; i < threads->count && !join->inside[object]; i++) {
		const struct thread_place *place = &threads->list[i].unwound.place;

		if (place->where != THREAD_SYSCALL || !moves_bytes(place->number) ||
		    (int)place->arguments[0] != join->fds[object])
			continue;
		join->out[object] = (int)i;
		join->inside[object] = true;
	}
}

static void join_waiting(struct join *join, unsigned object)
{
	const struct process_threads *threads = join->threads;

	for (unsigned i = 0; i < threads->count && join->out[object] < 0; i++) {
		if (waits_for(threads, &threads->list[i], join->fds[object]))
			join->out[object] = (int)i;
	}
	if (join->out[object] < 0 && threads->count == 1)
		join->out[object] = 0;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void join_stacks(struct join *join, const struct regions *regions, struct words *words)
{
	const struct process_threads *threads = join->threads;

	for (unsigned i = 0; i < threads->count; i++) {
		read_stack(threads, regions, &threads->list[i], words);
		if (threads->list[i].in_library >= 0)
			join_innermost(join, i, words);
		if (is_nested(join, regions, &threads->list[i]))
			join_outer(join, i, words);
	}
	for (unsigned i = 0; i < threads->count; i++) {
		read_stack(threads, regions, &threads->list[i], words);
		join_mentioned(join, i, words);
	}
}

void threads_join(const struct process_threads *threads, const struct libraries *libraries,
		  const struct regions *regions, const struct ssl_object *objects,
		  const int *fds, unsigned count, int *out, bool *inside)
{
	struct join join = {threads, libraries, objects, fds, count, out, inside};
	struct words words = {.list = malloc(STACK_WORDS * sizeof(uint64_t))};

	for (unsigned i = 0; i < count; i++) {
		out[i] = -1;
		inside[i] = false;
	}
	if (words.list)
		join_stacks(&join, regions, &words);
	free(words.list);
	for (unsigned i = 0; i < count; i++) {
		if (!objects[i].in_init)
			continue;
		if (objects[i].fd >= 0)
			join_blocked(&join, i);
		if (out[i] < 0)
			join_waiting(&join, i);
	}
}
