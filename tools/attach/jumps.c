/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A jump replaces more than one instruction, so no thread may be at the second one. A thread at the
 * first runs either the jump or what was there before. Removing a jump needs less care: it is one
 * instruction, and no thread can be inside it.
 */
#include "attach/jumps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attach/still.h"
#include "look/memory.h"
#include "now.h"

/* How long to look for a suitable moment. */
#define SEARCH_NS 5000000000ull

struct writing {
	struct tlstall_jump list[TLSTALL_ATTACH_JUMPS];
	unsigned count;
	uint64_t least, most;
	bool in;
};

/* Reads the list of jumps that the process has prepared. */
static bool take_list(const struct program *program, struct writing *w)
{
	const struct tlstall_attachment *state = &program->state;

	if (state->jump_count > TLSTALL_ATTACH_JUMPS)
		return false;
	w->least = UINT64_MAX;
	for (w->count = 0; w->count < state->jump_count; w->count++) {
		struct tlstall_jump *jump = &w->list[w->count];

		*jump = state->jumps[w->count];
		if (!jump->size || jump->size > sizeof(jump->jump))
			return false;
		w->least = jump->address < w->least ? jump->address : w->least;
		w->most = jump->address + jump->size > w->most ? jump->address + jump->size : w->most;
	}
	return true;
}

static bool is_inside(uint64_t address, const void *context)
{
	const struct writing *w = context;

	for (unsigned i = 0; i < w->count; i++) {
		if (address > w->list[i].address && address < w->list[i].address + w->list[i].size)
			return true;
	}
	return false;
}

/* Restores what was there before, for the jumps written so far. */
static void take_back(const struct program *program, const struct writing *w, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		program_write(program, w->list[i].address, w->list[i].original, w->list[i].size);
}

/*
 * Bytes that somebody else has changed are left alone: a jump that stays leads to a dormant shim.
 */
static enum aside write_one(const struct program *program, const struct tlstall_jump *jump, bool in,
			    const char **what)
{
	const uint8_t *from = in ? jump->original : jump->jump;
	const uint8_t *to = in ? jump->jump : jump->original;
	uint8_t now[sizeof(jump->jump)];

	if (!memory_read(program->memory, jump->address, now, jump->size))
		return ASIDE_REFUSED;
	if (!memcmp(now, to, jump->size))
		return ASIDE_DONE;
	if (memcmp(now, from, jump->size)) {
		*what = "finds code there that somebody has changed";
		return in ? ASIDE_MOVED : ASIDE_DONE;
	}
	return program_write(program, jump->address, to, jump->size) ? ASIDE_DONE : ASIDE_REFUSED;
}

static enum aside write_all(const struct still *still, const struct program *program,
			    const void *context, const char **what)
{
	const struct writing *w = context;

	if (w->in && still_holds(still, is_inside, w->least, w->most, w)) {
		*what = "is at the beginning of such a function";
		return ASIDE_MOVED;
	}
	for (unsigned i = 0; i < w->count; i++) {
		enum aside result = write_one(program, &w->list[i], w->in, what);

		if (result == ASIDE_DONE)
			continue;
		if (w->in)
			take_back(program, w, i);
		return result;
	}
	return ASIDE_DONE;
}

static int say(const struct program *program, char *why, size_t size, enum aside result,
	       const char *what)
{
	char byte;

	if (!memory_read(program->memory, program->attachment, &byte, 1))
		snprintf(why, size, "process %d has ended", program->pid);
	else if (result == ASIDE_STOPPED)
		snprintf(why, size, "process %d is stopped (kill -CONT continues it)", program->pid);
	else if (result == ASIDE_REFUSED)
		snprintf(why, size, "process %d has OpenSSL inside it, and its threads cannot be stopped: %s",
			 program->pid, strerror(errno));
	else
		snprintf(why, size,
			 "process %d has OpenSSL inside it, which cannot be changed safely now: a "
			 "thread %s (tlstall run traces it from its start)",
			 program->pid, what);
	return -1;
}

int jumps_write(const struct program *program, bool in, uint64_t *stopped_ns, char *why,
		size_t size)
{
	uint64_t until = now_ns(CLOCK_MONOTONIC) + SEARCH_NS;
	const char *what = "does not stop";
	struct writing w = {.in = in};
	enum aside result;

	if (!take_list(program, &w)) {
		snprintf(why, size, "process %d has a libtlstall.so that was tampered with",
			 program->pid);
		return -1;
	}
	while (w.count) {
		result = still_run(program, write_all, &w, stopped_ns, &what);
		if (result == ASIDE_DONE)
			return 0;
		if (result != ASIDE_MOVED || now_ns(CLOCK_MONOTONIC) > until)
			return say(program, why, size, result, what);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return 0;
}
