/* SPDX-License-Identifier: Apache-2.0 */
#include "live/named.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/kernel.h"

static bool add(struct named *named, pid_t pid)
{
	pid_t *list = reallocarray(named->list, named->count + 1, sizeof(*list));

	if (!list)
		return false;
	named->list = list;
	list[named->count++] = pid;
	return true;
}

static bool is_command(pid_t pid, const char *name)
{
	char path[32], comm[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (file && !fgets(comm, sizeof(comm), file))
		comm[0] = '\0';
	if (file)
		fclose(file);
	comm[strcspn(comm, "\n")] = '\0';
	return !strcmp(comm, name);
}

static bool is_program(pid_t pid, const char *name)
{
	char path[32], program[PATH_MAX];
	const char *slash;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	length = readlink(path, program, sizeof(program) - 1);
	program[length > 0 ? length : 0] = '\0';
	slash = strrchr(program, '/');
	return slash && !strcmp(slash + 1, name);
}

/* Kernel threads have no executable. */
static bool is_process(pid_t pid)
{
	char path[32], program[2];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return readlink(path, program, sizeof(program)) > 0;
}

static int by_id(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int find_all(const char *name, struct named *out)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	bool fits = true;

	while (directory && fits && (entry = readdir(directory))) {
		pid_t pid = kernel_pid(entry->d_name);

		if (pid && pid != getpid() &&
		    (name ? is_command(pid, name) || is_program(pid, name) : is_process(pid)))
			fits = add(out, pid);
	}
	if (directory)
		closedir(directory);
	if (out->count)
		qsort(out->list, out->count, sizeof(*out->list), by_id);
	return fits ? 0 : -1;
}

int named_find(const char *text, struct named *out)
{
	pid_t pid = text ? kernel_pid(text) : 0;

	*out = (struct named){0};
	if (pid)
		return add(out, pid) ? 0 : -1;
	return find_all(text, out);
}

void named_free(struct named *named)
{
	free(named->list);
	*named = (struct named){0};
}
