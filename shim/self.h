/* SPDX-License-Identifier: Apache-2.0 */
/* The identity of this process, from the kernel: what distinguishes it from every other. */
#ifndef SHIM_SELF_H
#define SHIM_SELF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct self {
	uint32_t pid;
	uint64_t start_time; /* field 22 of /proc/PID/stat; here and below, 0: not known */
	uint64_t pid_namespace, time_namespace;
	int64_t monotonic_offset_ns, boottime_offset_ns;
	char boot_id[40], comm[16];
};

/* Reads /proc; what cannot be read stays 0. */
void self_read(struct self *self);
/* Also returns the process's name: opening another file in /proc costs as much as reading one. */
uint64_t self_start_time(char comm[16]);
uint64_t self_pid_namespace(void);
/*
 * The same for all programs that this process executes, but different for every other process.
 * `another`: that tag is taken; returns an unpredictable one. Never 0.
 */
uint64_t self_tag(const struct self *self, bool another);

/*
 * Reads a link in /proc/self; returns bytes read or -1. If the first thread has ended, that
 * directory has no links or descriptors: then reads this thread's.
 */
ssize_t self_read_link(const char *name, char *buffer, size_t size);
/* Reads a small file as text; returns bytes read or -1. The text is always terminated. */
ssize_t self_read_small(const char *path, char *buffer, size_t size);

#endif
