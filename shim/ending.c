/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a process, and whether its trace is kept. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "clock.h"
#include "file.h"
#include "guard.h"
#include "layout.h"
#include "mapping.h"
#include "self.h"
#include "settings.h"
#include "system.h"

static bool is_alive(const struct tlstall_process *process)
{
	char path[64], text[512];
	const char *state;

	if (process->pid_namespace != mapping.processes[mapping_identity()->process].pid_namespace)
		return true;
	if (system_kill((pid_t)process->pid, 0) && errno == ESRCH)
		return false;
	snprintf(path, sizeof(path), "/proc/%u/stat", process->pid);
	if (self_read_small(path, text, sizeof(text)) <= 0)
		return true;
	state = strrchr(text, ')');
	return !state || !strchr("ZX", state[1] ? state[2] : 0);
}

/* Children that ended without their exit handlers have not marked themselves as exited. */
static bool others_write(const struct tlstall_header *header)
{
	uint32_t count = __atomic_load_n(&header->process_count, __ATOMIC_ACQUIRE);

	if (count > mapping.process_room)
		return true;
	for (uint32_t i = 0; i < count; i++)
		if (!__atomic_load_n(&mapping.processes[i].exited, __ATOMIC_ACQUIRE) &&
		    is_alive(&mapping.processes[i]))
			return true;
	return false;
}

static bool is_worth_keeping(const struct tlstall_header *header)
{
	/* made a context but no handshake, and has no children that might */
	if (!header->handshakes && !header->forked && !header->lost.foreign_calls &&
	    !header->bad_settings)
		return false;
	return settings.keep == TLSTALL_KEEP_ALL ||
	       (settings.keep == TLSTALL_KEEP_BAD && header->bad_handshakes) || others_write(header);
}

static void end_process(struct tlstall_header *header)
{
	uint64_t now = clock_ticks();
	struct tlstall_process *process = &mapping.processes[mapping_identity()->process];

	mapping_keep_time(now + clock_rough_ticks(1000000));
	process->exit_ticks = now;
	__atomic_store_n(&process->exited, 1, __ATOMIC_SEQ_CST);
	if ((uint32_t)ask_pid() == header->pid) {
		header->exit_ticks = now;
		__atomic_store_n(&header->exited, 1, __ATOMIC_RELEASE);
	}
}

static uint64_t part(uint64_t used, uint64_t room, size_t size)
{
	return (used < room ? used : room) * size;
}

/* The parts that grow with handshakes; the small tables fit into the first unit. */
static uint64_t bytes_of(const struct tlstall_header *h)
{
	return LAYOUT_FIRST +
	       part(h->slot_cursor, mapping.slot_count, sizeof(*mapping.handshakes)) +
	       part(h->opening_head, mapping.opening_mask + 1ull, sizeof(*mapping.opening)) +
	       part(h->rest_head, mapping.rest_mask + 1ull, sizeof(*mapping.rest)) +
	       part(h->history_head, mapping.history_mask + 1ull, sizeof(*mapping.history));
}

static void settle(const struct tlstall_header *header)
{
	bool first = (uint32_t)ask_pid() == header->pid;

	if (!__atomic_load_n(&mapping.usable, __ATOMIC_RELAXED) || !ask_may())
		return;
	if ((first || settings.keep != TLSTALL_KEEP_ALL) && !is_worth_keeping(header))
		file_remove();
	else if (first)
		file_stays(bytes_of(header));
}

/* Runs after the shim's other destructors: those without a priority come first. */
__attribute__((destructor(101))) static void at_exit(void)
{
	struct tlstall_header *header = mapping.header;

	if (!header)
		return;
	guard_enter();
	end_process(header);
	settle(header);
	guard_leave();
}
