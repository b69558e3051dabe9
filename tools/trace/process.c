/* SPDX-License-Identifier: Apache-2.0 */
/* What an id stands for, where it is no process that runs a program. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trace/host.h"

/* PF_KTHREAD, which the kernel's headers for programs lack */
#define KERNEL_THREAD 0x00200000u

ssize_t host_read(pid_t pid, const char *name, void *to, size_t size)
{
	char path[64];
	int file;
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	got = file < 0 ? -1 : read(file, to, size);
	if (file >= 0)
		close(file);
	return got;
}

uint64_t host_auxv(pid_t pid, uint64_t type)
{
	Elf64_auxv_t vector[64];
	ssize_t got = host_read(pid, "auxv", vector, sizeof(vector));

	for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(*vector); i++) {
		if (vector[i].a_type == type)
			return vector[i].a_un.a_val;
	}
	return 0;
}

struct standing {
	char state, comm[32];
	int parent, process; /* `process`: whose thread it is */
	unsigned flags;
	long threads;
};

static bool read_standing(pid_t pid, struct standing *out)
{
	char text[1024], status[1024], *end, *line;
	ssize_t got = host_read(pid, "stat", text, sizeof(text) - 1);

	text[got > 0 ? got : 0] = '\0';
	got = host_read(pid, "status", status, sizeof(status) - 1);
	status[got > 0 ? got : 0] = '\0';
	/* the command's name may contain anything, in `status` no newline */
	end = strrchr(text, ')');
	line = strstr(status, "\nTgid:");
	if (!end || !line || sscanf(line, "\nTgid: %d", &out->process) != 1 ||
	    sscanf(end + 1,
		   " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld",
		   &out->state, &out->parent, &out->flags, &out->threads) != 4)
		return false;
	*end = '\0';
	line = strchr(text, '(');
	snprintf(out->comm, sizeof(out->comm), "%.31s", line ? line + 1 : "");
	return true;
}

bool host_runs_program(pid_t pid, char *why, size_t size)
{
	struct standing is;

	if (kill(pid, 0) && errno == ESRCH)
		snprintf(why, size, "no such process: %d", pid);
	else if (!read_standing(pid, &is))
		return true; /* as far as can be seen */
	else if (is.process != pid)
		snprintf(why, size, "%d is a thread of process %d: name that process", pid,
			 is.process);
	else if (is.flags & KERNEL_THREAD)
		snprintf(why, size, "process %d is a kernel thread (%s), which runs no program",
			 pid, is.comm);
	else if ((is.state == 'Z' || is.state == 'X') && is.threads > 1)
		snprintf(why, size,
			 "the main thread of process %d has ended: the kernel no longer shows its memory",
			 pid);
	else if (is.state == 'Z' || is.state == 'X')
		snprintf(why, size,
			 "process %d has ended (a zombie, which its parent %d has not waited for)",
			 pid, is.parent);
	else
		return true;
	return false;
}

/* ---- before its libraries are there -------------------------------------------------------- */

static bool is_libc(const char *line)
{
	static const char *const names[] = {"/libc.", "/libc-", "/ld-musl-"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *name = strstr(line, names[i]);

		if (name && !strchr(name + 1, '/'))
			return true;
	}
	return false;
}

bool host_is_loading(pid_t pid)
{
	char path[64], line[PATH_MAX + 128];
	bool found = false, any = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = host_auxv(pid, AT_BASE) ? fopen(path, "re") : NULL;
	if (!maps)
		return false;
	while (!found && fgets(line, sizeof(line), maps)) {
		any = true;
		found = is_libc(line);
	}
	fclose(maps);
	return any && !found;
}
