/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes live, and up to when a trace tells of those that do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/directory.h"
#include "trace/internal.h"

#define LIVES_MAX 65536u	/* an event's process is 16 bits */
#define LOOK_AGAIN_NS 10000000u /* asking /proc for every handshake would be slow */
#define NEWEST_EVENTS 16384u	/* of each ring, looked at for signs of life */

/* ---- entries ---------------------------------------------------------------------- */

static struct life *life_of(struct trace *trace, unsigned process)
{
	uint32_t present = trace->present[TLSTALL_SECTION_PROCESSES];

	if (!trace->lives) {
		trace->life_count = present < LIVES_MAX ? present : LIVES_MAX;
		trace->lives = calloc(trace->life_count, sizeof(*trace->lives));
	}
	return trace->lives && process < trace->life_count ? &trace->lives[process] : NULL;
}

/* What the file says now. */
static int read_entry(struct trace *trace, unsigned process, struct tlstall_process *out)
{
	struct life *life = life_of(trace, process);
	int result =
		trace_read_committed(trace, TLSTALL_SECTION_PROCESSES, process, out, sizeof(*out));

	if (result)
		return result;
	TERMINATE(out->comm);
	if (life) {
		life->entry = *out;
		life->entry_read = trace->round;
		life->entry_final = out->exited && out->exit_ticks;
	}
	return 0;
}

/*
 * Asked for each call and each handshake: whoever follows a trace reads an entry
 * once a round. Where a process was found dead meanwhile it was read after that.
 */
int trace_process(struct trace *trace, unsigned index, struct tlstall_process *out)
{
	const struct life *life = life_of(trace, index);
	bool fresh = life && trace->round && life->entry_read == trace->round;

	if (!fresh && !(life && life->entry_final))
		return read_entry(trace, index, out);
	*out = life->entry;
	return 0;
}

/* ---- alive --------------------------------------------------------------------- */

/* Now, by the caller's word or by this host's clock. */
static uint64_t now_ticks(const struct trace *trace)
{
	return trace->now_known ? trace->now.ticks : trace_read_clock(trace).ticks;
}

/*
 * An exec keeps the process id and start time, but the image that wrote this
 * file is gone. What cannot be read does not count; seen from outside a chroot
 * the path is longer; under an emulator it is the emulator's.
 */
static bool runs_our_program(const struct trace *trace, pid_t pid)
{
	static const char deleted[] = " (deleted)";
	const char *program = trace->header.program;
	char path[64], exe[4096];
	size_t length = strlen(program), size;
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	got = readlink(path, exe, sizeof(exe) - 1);
	if (got <= 0 || !length || length == sizeof(trace->header.program) - 1)
		return true;
	size = (size_t)got;
	exe[size] = '\0';
	if (size > sizeof(deleted) && !strcmp(exe + size - (sizeof(deleted) - 1), deleted))
		size -= sizeof(deleted) - 1;
	return strstr(exe, "/qemu-") ||
	       (size >= length && !memcmp(exe + size - length, program, length));
}

static bool look(struct trace *trace, unsigned process)
{
	struct tlstall_process p;

	if (!trace->local || trace_process(trace, process, &p) != 0 || p.exited)
		return false;
	return trace_process_alive((pid_t)p.pid, p.start_time) &&
	       runs_our_program(trace, (pid_t)p.pid);
}

bool trace_alive(struct trace *trace, unsigned process)
{
	struct life *life = life_of(trace, process);
	uint64_t now;

	if (!life || life->over)
		return false;
	now = time_monotonic_ns();
	if (life->checked_ns && now - life->checked_ns < LOOK_AGAIN_NS)
		return life->alive;
	life->checked_ns = now;
	life->alive = look(trace, process);
	if (life->alive)
		life->seen = trace_read_clock(trace).ticks;
	return life->alive;
}

bool life_all_over(struct trace *trace)
{
	struct tlstall_process p;

	/* threads may go on for a moment after the exit was noted */
	if (!trace->all_over && trace->header.process_count == 1 &&
	    trace_process(trace, 0, &p) == 0 && p.exited && p.exit_ticks)
		trace->all_over = !trace->local || !trace_process_alive((pid_t)p.pid, p.start_time);
	return trace->all_over;
}

/* ---- signs of life ---------------------------------------------------------------- */

static void sign(struct trace *trace, uint32_t process, uint64_t ticks)
{
	struct life *life = life_of(trace, process);

	if (life && !life->over && ticks > life->horizon)
		life->horizon = ticks;
}

static void signs_of_handshakes(struct trace *trace)
{
	struct tlstall_handshake h;
	unsigned slots = trace_slot_count(trace);

	for (unsigned slot = 0; slot < slots; slot++) {
		if (trace_handshake(trace, slot, &h) != 0)
			continue;
		sign(trace, h.process, h.start);
		sign(trace, h.process, h.progress);
		sign(trace, h.process, h.enter);
		sign(trace, h.process, h.leave);
		sign(trace, h.process, h.end);
		sign(trace, h.process, h.freed);
	}
}

static void signs_of_events(struct trace *trace)
{
	uint64_t torn = trace->torn;
	struct trace_cursor *cursor;
	struct tlstall_event event;

	if (cursor_open_newest(trace, NEWEST_EVENTS, &cursor) != 0)
		return;
	for (;;) {
		int result = trace_cursor_next(cursor, &event);

		if (result > 0) {
			trace_cursor_skip(cursor);
			result = trace_cursor_next(cursor, &event);
		}
		if (result)
			break;
		sign(trace, event.process, trace_event_end(&event));
	}
	trace_cursor_close(cursor);
	trace->torn = torn; /* whoever walks the events tells of those */
}

static void signs_of_looks(struct trace *trace)
{
	const struct tlstall_look *looks;
	uint32_t count = looks_read(trace, &looks);

	for (uint32_t i = 0; i < count; i++)
		sign(trace, looks[i].process, looks[i].seen);
}

/* What the file says of a process that is dead, beside its handshakes and events. */
static void conclude(struct trace *trace, unsigned process)
{
	const struct tlstall_header *h = &trace->header;
	struct life *life = &trace->lives[process];
	struct tlstall_process p;

	if (read_entry(trace, process, &p) != 0)
		return;
	sign(trace, process, life->seen);
	sign(trace, process, p.first_ticks);
	if (h->process_count == 1)
		sign(trace, process, h->last.ticks);
	if (p.exited && p.exit_ticks)
		life->horizon = p.exit_ticks;
	life->over = true;
}

/* First who is dead, then what they left: so nothing that they wrote is missed. */
static void look_for_signs(struct trace *trace)
{
	uint32_t count = trace->header.process_count;
	bool *dead = calloc(count, sizeof(*dead));

	if (!dead)
		return;
	for (uint32_t i = 0; i < count; i++)
		dead[i] = !trace_alive(trace, i);
	signs_of_handshakes(trace);
	signs_of_events(trace);
	signs_of_looks(trace);
	for (uint32_t i = 0; i < count && i < trace->life_count; i++)
		if (dead[i] && !trace->lives[i].over)
			conclude(trace, i);
	free(dead);
}

/* Whether it said itself when it ended: then there is no need to look for signs. */
static bool told_its_end(struct trace *trace, unsigned process, struct life *life)
{
	struct tlstall_process p;

	if (read_entry(trace, process, &p) != 0 || !p.exited || !p.exit_ticks)
		return false;
	life->horizon = p.exit_ticks;
	life->over = true;
	return true;
}

uint64_t trace_horizon(struct trace *trace, unsigned process)
{
	struct life *life = life_of(trace, process);

	if (!life)
		return trace->header.exited ? trace->header.exit_ticks : trace->header.last.ticks;
	if (trace_alive(trace, process))
		return now_ticks(trace);
	if (!life->over && !told_its_end(trace, process, life))
		look_for_signs(trace);
	return life->horizon;
}
