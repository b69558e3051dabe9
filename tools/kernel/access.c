/* SPDX-License-Identifier: Apache-2.0 */
/* Which permission is missing, if any. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/kernel.h"
#include "trace/host.h"

pid_t kernel_pid(const char *text)
{
	unsigned long value;

	if (!*text || text[strspn(text, "0123456789")])
		return 0;
	errno = 0;
	value = strtoul(text, NULL, 10);
	return errno || value > INT_MAX ? 0 : (pid_t)value;
}

static ssize_t read_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, buffer, size - 1);
	int saved = errno;

	if (fd >= 0)
		close(fd);
	buffer[got > 0 ? got : 0] = '\0';
	errno = saved;
	return got;
}

static bool have_ptrace_capability(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	return !syscall(SYS_capget, &header, data) &&
	       (data[CAP_SYS_PTRACE / 32].effective & (1u << (CAP_SYS_PTRACE % 32)));
}

static int yama_scope(void)
{
	char text[16];

	return read_file("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) > 0 ? atoi(text)
										       : 0;
}

/* The effective user; (uid_t)-1: not known. */
static uid_t user_of(pid_t pid)
{
	char path[32], text[2048];
	const char *line;
	unsigned real, effective;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	read_file(path, text, sizeof(text));
	line = strstr(text, "\nUid:");
	if (!line || sscanf(line, "\nUid: %u %u", &real, &effective) != 2)
		return (uid_t)-1;
	return effective;
}

/* Files in /proc of a process that is not dumpable belong to root. */
static bool is_hidden(pid_t pid, uid_t user)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return user != 0 && !stat(path, &st) && st.st_uid != user;
}

static void say_user(uid_t user, pid_t pid, char *why, size_t size)
{
	const struct passwd *entry = getpwuid(user);

	if (entry)
		snprintf(why, size,
			 "process %d belongs to user %s: run this as that user or with "
			 "CAP_SYS_PTRACE",
			 pid, entry->pw_name);
	else
		snprintf(why, size,
			 "process %d belongs to uid %u: run this as that user or with "
			 "CAP_SYS_PTRACE",
			 pid, user);
}

static void explain(pid_t pid, char *why, size_t size)
{
	uid_t user = user_of(pid);
	int scope = yama_scope();

	if (scope >= 3)
		snprintf(why, size, "kernel.yama.ptrace_scope is %d: no process may be inspected",
			 scope);
	else if (have_ptrace_capability())
		snprintf(why, size,
			 "process %d is in a user namespace or under a security module that "
			 "CAP_SYS_PTRACE "
			 "here does not reach",
			 pid);
	else if (user != geteuid())
		say_user(user, pid, why, size);
	else if (is_hidden(pid, user))
		snprintf(
			why, size,
			"process %d is not dumpable (it changed its user or has capabilities): run "
			"this with CAP_SYS_PTRACE",
			pid);
	else if (scope > 0)
		snprintf(why, size,
			 "kernel.yama.ptrace_scope is %d: set it to 0 or run this with "
			 "CAP_SYS_PTRACE",
			 scope);
	else
		snprintf(why, size,
			 "no permission to inspect process %d: run this with CAP_SYS_PTRACE", pid);
}

int kernel_access(pid_t pid, char *why, size_t size)
{
	char path[32], text[256];

	if (!host_runs_program(pid, why, size))
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	if (read_file(path, text, sizeof(text)) > 0)
		return 0;
	if (errno == ENOENT)
		snprintf(why, size,
			 "this kernel does not show what threads wait in (/proc/PID/syscall)");
	else if (errno == ESRCH)
		snprintf(why, size, "process %d has ended", pid);
	else
		explain(pid, why, size);
	return -1;
}
