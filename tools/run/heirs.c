/* SPDX-License-Identifier: Apache-2.0 */
#include "run/heirs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How much of an environment is read. */
#define ENVIRONMENT_SIZE (128 << 10)

/* Whether `setting` is one of the strings of an environment. */
static bool has_setting(const char *environment, size_t size, const char *setting)
{
	size_t length = strlen(setting) + 1;

	for (const char *at = environment; at + length <= environment + size;) {
		if (!memcmp(at, setting, length))
			return true;
		at += strnlen(at, (size_t)(environment + size - at)) + 1;
	}
	return false;
}

/* During an exec, a process has no environment; a kernel thread never has an executable. */
static bool has_program(const char *pid)
{
	char path[64], target[8];

	snprintf(path, sizeof(path), "/proc/%.20s/exe", pid);
	return readlink(path, target, sizeof(target)) > 0;
}

/* A process that does not tell yet counts: it will be asked again. */
static bool is_heir(const char *pid, const char *setting)
{
	static char environment[ENVIRONMENT_SIZE];
	char path[64];
	ssize_t part;
	size_t size = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* the kernel returns one page at a time */
	while ((part = read(fd, environment + size, sizeof(environment) - size)) > 0)
		size += (size_t)part;
	close(fd);
	return size ? has_setting(environment, size, setting) : has_program(pid);
}

bool heirs_live(const char *directory)
{
	char setting[PATH_MAX + 16];
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	if (!proc)
		return false;
	snprintf(setting, sizeof(setting), "TLSTALL_DIR=%s", directory);
	while (!found && (entry = readdir(proc)))
		found = isdigit((unsigned char)entry->d_name[0]) && is_heir(entry->d_name, setting);
	closedir(proc);
	return found;
}
