/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of this host, found by the ids that they see themselves: in a container a process has
 * another id, and in a time namespace another start time. Never prints.
 */
#ifndef TOOLS_TRACE_HOST_H
#define TOOLS_TRACE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct host_process {
	pid_t pid;		    /* as it has it */
	uint64_t start_time;	    /* field 22 of /proc/PID/stat, as it reads it; 0: any */
	uint64_t pid_namespace;	    /* inode, 0: not known, ours is meant */
	int64_t boottime_offset_ns; /* of its time namespace */
};

/* Its id on this host; 0: it has ended, or cannot be seen. */
pid_t host_find(const struct host_process *process);
/*
 * Lists all processes, to find many at once: a process that is not in the list has ended. Valid
 * until host_forget(); processes that start later are not found until then.
 */
void host_count(void);
void host_forget(void);
/* Whether a process that was found is still the same one. */
bool host_alive(pid_t here, const struct host_process *process);
/* When a process of this host started, as its stat tells; 0: that cannot be read. */
uint64_t host_start(pid_t here);
/* Whether a process that started then may be this one, by its start alone. */
bool host_started(const struct host_process *process, uint64_t start);
/* The id that a process sees itself; if not known, `here`. */
pid_t host_own_id(pid_t here);
/* The id by which a thread of process `here` is known here; 0: it has ended. */
pid_t host_thread(pid_t here, pid_t tid);
/* The beginning of a file of that process in /proc; -1: it cannot be read. */
ssize_t host_read(pid_t pid, const char *name, void *to, size_t size);
/* A value of its auxiliary vector (AT_*); 0: none, or not to be read. */
uint64_t host_auxv(pid_t pid, uint64_t type);
/*
 * Whether it is a process that runs a program, as far as can be seen; else says what it is, in a
 * sentence without a full stop: nothing, a thread of another process, a kernel thread, a zombie.
 */
bool host_runs_program(pid_t pid, char *why, size_t size);
/* Whether it is only starting: it has a loader, which has not loaded libc yet. */
bool host_is_loading(pid_t pid);
/* What the time namespace of this program adds to the host's monotonic clock. */
int64_t host_monotonic_offset_ns(void);
uint64_t host_pid_namespace(void);
/* Whether processes of that namespace can be seen from here: ours, or any where we are the host. */
bool host_sees(uint64_t pid_namespace);

#endif
