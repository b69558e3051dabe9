/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/obstacles.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach/stub.h"
#include "kernel/kernel.h"
#include "trace/host.h"

/* The value of "\nName:\tvalue"; NULL: there is no such line. */
static const char *line_of(const char *status, const char *name)
{
	char start[32];
	const char *at;

	snprintf(start, sizeof(start), "\n%s:\t", name);
	at = strstr(status, start);
	return at ? at + strlen(start) : NULL;
}

static const char *read_status(pid_t pid, char *buffer, size_t size)
{
	ssize_t got = host_read(pid, "status", buffer, size - 1);

	buffer[got > 0 ? got : 0] = '\0';
	return got > 0 ? buffer : NULL;
}

long obstacles_field(pid_t pid, const char *name)
{
	char buffer[4096];
	const char *status = read_status(pid, buffer, sizeof(buffer));
	const char *value = status ? line_of(status, name) : NULL;

	return value ? strtol(value, NULL, 10) : -1;
}

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#else
#define OUR_MACHINE EM_AARCH64
#endif

static bool is_our_machine(pid_t pid)
{
	Elf64_Ehdr header;

	return host_read(pid, "exe", &header, sizeof(header)) == sizeof(header) &&
	       !memcmp(header.e_ident, ELFMAG, SELFMAG) &&
	       header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == OUR_MACHINE;
}

static int refuse(char *why, size_t size, pid_t pid, const char *what)
{
	snprintf(why, size, "process %d %s", pid, what);
	return -1;
}

/* Another tlstall may trace it for a moment. */
static bool stays_traced(pid_t pid)
{
	for (int i = 0; i < 50 && obstacles_field(pid, "TracerPid") > 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	return obstacles_field(pid, "TracerPid") > 0;
}

static int by_status(pid_t pid, bool force, char *why, size_t size)
{
	char buffer[4096];
	bool traced = stays_traced(pid);
	const char *status = read_status(pid, buffer, sizeof(buffer));
	const char *state = status ? line_of(status, "State") : NULL;

	if (!state || *state == 'Z' || *state == 'X')
		return refuse(why, size, pid, "has ended");
	if (traced) {
		snprintf(why, size, "process %d is traced by process %ld, a debugger or strace (end that first)",
			 pid, obstacles_field(pid, "TracerPid"));
		return -1;
	}
	if (*state == 'T' || *state == 't')
		return refuse(why, size, pid, "is stopped (kill -CONT continues it)");
	if (obstacles_field(pid, "Seccomp") > 0 && !force)
		return refuse(why, size, pid,
			      "has a seccomp filter, which may kill it for a system call that tlstall makes "
			      "(--force, if the filter allows mmap, clone, openat, rt_sigprocmask and nanosleep)");
	return 0;
}

int obstacles_look(pid_t pid, bool force, char *why, size_t size)
{
	if (!ATTACH_STUB_EXISTS) {
		snprintf(why, size, "tlstall attach works only on x86-64");
		return -1;
	}
	if (pid == getpid())
		return refuse(why, size, pid, "is tlstall itself");
	if (kernel_access(pid, why, size) || by_status(pid, force, why, size))
		return -1;
	if (!is_our_machine(pid))
		return refuse(why, size, pid, "is for another architecture");
	if (host_auxv(pid, AT_SECURE))
		return refuse(why, size, pid,
			      "runs with rights that its user does not have (setuid, setgid or "
			      "file capabilities)");
	return 0;
}
