/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/waiting.h"

#include <dirent.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "attach/stub.h"
#include "kernel/kernel.h"
#include "kernel/thread.h"
#include "look/memory.h"

#define THREADS 1024
#define COSTS 3
#define ONLY_STOPPED COSTS

static const struct wait {
	long number;
	int cost, mask;
} waits[] = {
#define WAIT(name, cost, mask) {SYS_##name, cost, mask},
#if ATTACH_STUB_EXISTS
#include "attach/waits.def"
#else
	{-1, 0, -1},
#endif
#undef WAIT
};

static bool has_mask(int memory, const struct thread_place *place, const struct wait *wait)
{
	uint64_t mask = wait->mask < 0 ? 0 : place->arguments[wait->mask];

	if (mask && wait->number == SYS_pselect6 && !memory_read(memory, mask, &mask, sizeof(mask)))
		return true;
	return mask;
}

static const struct wait *wait_of(long number)
{
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		if (waits[i].number == number)
			return &waits[i];
	}
	return NULL;
}

/* If stopped, it would return what it has received so far. */
static bool wants_all(const struct thread_place *place)
{
	return (place->number == SYS_recvfrom && (place->arguments[3] & MSG_WAITALL)) ||
	       (place->number == SYS_recvmsg && (place->arguments[2] & MSG_WAITALL));
}

static bool is_other_futex(const struct thread_place *place)
{
	return place->number == SYS_futex &&
	       (place->arguments[1] & FUTEX_CMD_MASK) != FUTEX_WAIT &&
	       (place->arguments[1] & FUTEX_CMD_MASK) != FUTEX_WAIT_BITSET;
}

/* -1: not in one of these calls. */
static int cost_of(int memory, const struct thread_place *place)
{
	const struct wait *wait = place->where == THREAD_SYSCALL ? wait_of(place->number) : NULL;

	if (!wait || wait->cost == ONLY_STOPPED || has_mask(memory, place, wait) ||
	    is_other_futex(place) || wants_all(place))
		return -1;
	return wait->cost;
}

/*
 * If it has a signal mask of its own, only the kernel can resume it; for epoll_pwait, it does not.
 */
static bool is_masked_epoll(const struct thread_place *place)
{
	return place->number == SYS_epoll_pwait && place->arguments[4];
}

bool waiting_resumes(const struct thread_place *place)
{
	return place->where == THREAD_SYSCALL && wait_of(place->number) && !wants_all(place) &&
	       !is_masked_epoll(place);
}

bool waiting_is_resumed(long number)
{
	return wait_of(number);
}

/* The main thread's stack grows by itself. */
static bool has_room(const struct program *program, uint64_t sp)
{
	const struct region *stack = regions_find(&program->regions, sp);

	return stack && stack->writable &&
	       (!strcmp(stack->path, "[stack]") || sp - stack->start > STUB_STACK);
}

static const char *unfit(struct program *program, struct waiting *w)
{
	struct unwound unwound;

	if (unwind_thread(program->unwinder, w->tid, false, &unwound) ||
	    unwound.place.sp != w->place.sp || unwound.place.pc != w->place.pc)
		return "keeps moving";
	if (!unwound.whole)
		return "has a stack that cannot be unwound to its end";
	if (!has_room(program, w->place.sp))
		return "has too little room on its stack";
	for (unsigned i = 0; i < unwound.count; i++) {
		const char *what = program_unsafe(program, unwound.frames[i]);

		if (what)
			return what;
	}
	return NULL;
}

struct candidates {
	struct waiting list[THREADS];
	int cost[THREADS];
	unsigned count;
};

static bool list_threads(pid_t pid, int memory, struct candidates *c)
{
	char path[40];
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && c->count < THREADS && (entry = readdir(tasks))) {
		struct waiting *w = &c->list[c->count];

		w->tid = kernel_pid(entry->d_name);
		if (!w->tid)
			continue;
		thread_look(pid, w->tid, &w->place);
		c->cost[c->count] = cost_of(memory, &w->place);
		c->count++;
	}
	if (tasks)
		closedir(tasks);
	return tasks;
}

static bool take_one(struct program *program, struct candidates *c, struct waiting *out,
		     const char **what)
{
	for (int cost = 0; cost < COSTS; cost++) {
		for (unsigned i = 0; i < c->count; i++) {
			const char *reason;

			if (c->cost[i] != cost)
				continue;
			reason = unfit(program, &c->list[i]);
			*out = c->list[i];
			if (!reason)
				return true;
			*what = reason;
		}
	}
	return false;
}

bool waiting_find(struct program *program, struct waiting *out, const char **what)
{
	struct candidates *c = calloc(1, sizeof(*c));
	bool found = c && list_threads(program->pid, program->memory, c) && take_one(program, c, out, what);

	free(c);
	return found;
}

/* A deeper stack is not searched. */
#define STACK_MOST (1u << 20)

static bool is_in(struct code code, uint64_t address)
{
	return address >= code.start && address < code.end;
}

/* The kernel saves on the stack of a handler where it is to return. */
static bool stack_has(const struct program *program, uint64_t sp, struct code code)
{
	const struct region *stack = regions_find(&program->regions, sp);
	uint64_t words[512], size;

	if (!stack || stack->end - sp > STACK_MOST)
		return true;
	for (uint64_t at = sp & ~7ull; at < stack->end; at += size) {
		size = stack->end - at < sizeof(words) ? stack->end - at : sizeof(words);
		if (!memory_read(program->memory, at, words, size))
			return true;
		for (size_t i = 0; i < size / sizeof(words[0]); i++) {
			if (is_in(code, words[i]))
				return true;
		}
	}
	return false;
}

bool waiting_may_return(const struct program *program, pid_t tid, struct code code)
{
	struct thread_place place;

	thread_look(program->pid, tid, &place);
	if (place.where == THREAD_GONE)
		return false;
	if (place.where != THREAD_SYSCALL && place.where != THREAD_BLOCKED)
		return true;
	return is_in(code, place.pc) || stack_has(program, place.sp, code);
}

bool waiting_any_may_return(const struct program *program, struct code code)
{
	struct candidates *c = calloc(1, sizeof(*c));
	bool found = !c || !list_threads(program->pid, program->memory, c) || c->count == THREADS;

	for (unsigned i = 0; !found && i < c->count; i++)
		found = waiting_may_return(program, c->list[i].tid, code);
	free(c);
	return found;
}
