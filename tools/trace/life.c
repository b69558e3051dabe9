/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes are alive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/host.h"
#include "trace/internal.h"

#define LIVES_FIRST 4u
#define LIVES_MAX 65536u	/* an event's process number has 16 bits */
#define LOOK_AGAIN_NS 10000000u /* asking /proc for every handshake would be slow */
/* On a busy host, a process may be interrupted for long while it writes its entry. */
#define STARTING_NS 5000000000ull

/* ---- entries ---------------------------------------------------------------------- */

/* Few processes have children that make handshakes: the table grows on demand. */
static bool grow_lives(struct trace *trace, unsigned process, uint32_t room)
{
	uint32_t count = trace->life_count ? trace->life_count : LIVES_FIRST;
	struct life *lives;

	while (count <= process)
		count *= 2;
	if (count > room)
		count = room;
	lives = reallocarray(trace->lives, count, sizeof(*lives));
	if (!lives)
		return false;
	memset(lives + trace->life_count, 0, (count - trace->life_count) * sizeof(*lives));
	trace->lives = lives;
	trace->life_count = count;
	return true;
}

uint32_t life_most(const struct trace *trace)
{
	uint32_t present = trace->present[TLSTALL_SECTION_PROCESSES];

	return present < LIVES_MAX ? present : LIVES_MAX;
}

struct life *life_of(struct trace *trace, unsigned process)
{
	uint32_t room = life_most(trace);

	if (process >= room || (process >= trace->life_count && !grow_lives(trace, process, room)))
		return NULL;
	return &trace->lives[process];
}

int life_read_entry(struct trace *trace, unsigned process, struct tlstall_process *out)
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
 * Called for each call and each handshake: the entry is read once per round. An entry read after
 * its process was found dead is final.
 */
int trace_process(struct trace *trace, unsigned index, struct tlstall_process *out)
{
	const struct life *life = life_of(trace, index);
	bool fresh = life && trace->round && life->entry_read == trace->round;

	if (!fresh && !(life && life->entry_final))
		return life_read_entry(trace, index, out);
	*out = life->entry;
	return 0;
}

/* ---- alive --------------------------------------------------------------------- */

/*
 * An exec keeps the process id and start time, but the image that wrote this file is gone. An
 * unreadable link does not count. Seen from outside a chroot the path is longer, and under an
 * emulator it is the emulator's.
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

static struct host_process as_known(const struct trace *trace, const struct tlstall_process *p)
{
	return (struct host_process){
		.pid = (pid_t)p->pid,
		.start_time = p->start_time,
		.pid_namespace = p->pid_namespace,
		.boottime_offset_ns = trace->header.boottime_offset_ns,
	};
}

/*
 * Claimed, but not written yet: it is starting, or was killed just then. The header tells which
 * process is the first one.
 */
static int read_claimed(const struct trace *trace, unsigned process, struct tlstall_process *out)
{
	const struct tlstall_header *h = &trace->header;

	if (process)
		return 1;
	*out = (struct tlstall_process){.pid = h->pid,
					.start_time = h->start_time,
					.pid_namespace = h->pid_namespace,
					.exited = h->exited};
	return 0;
}

static bool may_be_starting(const struct trace *trace, unsigned process, struct life *life)
{
	uint64_t now = time_monotonic_ns();

	if (process >= trace->header.process_count)
		return false;
	if (!life->starting_ns)
		life->starting_ns = now;
	return now - life->starting_ns < STARTING_NS;
}

/* Looks its id up only once, as long as that id is the same process. */
static bool look(struct trace *trace, unsigned process, struct life *life)
{
	struct host_process wanted;
	struct tlstall_process p;
	int result;

	if (!trace->local || trace->all_over)
		return false;
	result = trace_process(trace, process, &p);
	if (result > 0)
		result = read_claimed(trace, process, &p);
	if (result > 0)
		return may_be_starting(trace, process, life);
	if (result || p.exited)
		return false;
	wanted = as_known(trace, &p);
	if (!life->here || !host_alive(life->here, &wanted)) {
		pid_t here = host_find(&wanted);

		life->here = here ? here : life->here;
		if (!here)
			return false;
	}
	return runs_our_program(trace, life->here);
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
	life->alive = look(trace, process, life);
	if (life->alive)
		life->seen = trace_read_clock(trace).ticks;
	return life->alive;
}

pid_t trace_pid_here(struct trace *trace, unsigned process)
{
	struct life *life = life_of(trace, process);
	struct tlstall_process p;

	if (life && !life->here)
		trace_alive(trace, process);
	if (life && life->here)
		return life->here;
	return trace_process(trace, process, &p) ? 0 : (pid_t)p.pid;
}

void trace_set_over(struct trace *trace)
{
	trace->all_over = true;
}

bool life_all_over(struct trace *trace)
{
	struct host_process known;
	struct tlstall_process p;

	/* threads may go on for a moment after the exit was noted */
	if (!trace->all_over && trace->header.process_count == 1 &&
	    trace_process(trace, 0, &p) == 0 && p.exited && p.exit_ticks) {
		known = as_known(trace, &p);
		trace->all_over = !trace->local || !host_find(&known);
	}
	return trace->all_over;
}
