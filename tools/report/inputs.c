/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/inputs.h"
#include "trace/directory.h"

static int add(struct inputs *inputs, const char *path, const char *label, const char *failed,
	       bool listed)
{
	struct input *list = realloc(inputs->list, (inputs->count + 1) * sizeof(*list));
	struct input input = {strdup(path), strdup(label), listed, failed ? strdup(failed) : NULL};

	if (list)
		inputs->list = list;
	if (!list || !input.path || !input.label || (failed && !input.failed)) {
		free(input.path);
		free(input.label);
		free(input.failed);
		errno = ENOMEM;
		return -1;
	}
	list[inputs->count++] = input;
	inputs->traces += failed ? 0 : 1;
	return 0;
}

static int add_directory(struct inputs *inputs, const char *directory)
{
	struct trace_list found = {0};
	size_t before = inputs->count;
	int result = trace_list_add(&found, directory);

	for (unsigned i = 0; result == 0 && i < found.count; i++)
		result = add(inputs, found.entries[i].path, found.entries[i].path,
			     found.entries[i].failed, true);
	trace_list_free(&found);
	if (result == 0 && inputs->count == before) {
		errno = ENODATA;
		result = -1;
	}
	return result;
}

static int copy(int from, int to)
{
	char buffer[1 << 16];
	ssize_t size;

	while ((size = read(from, buffer, sizeof(buffer))) > 0) {
		for (ssize_t written = 0, part; written < size; written += part) {
			part = write(to, buffer + written, (size_t)(size - written));
			if (part < 0)
				return -1;
		}
	}
	return size < 0 ? -1 : 0;
}

/* What cannot be read at any offset is copied. Never closed: the path names the descriptor. */
static int add_stream(struct inputs *inputs, int from, const char *label)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);
	char path[64];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (copy(from, fd) == 0 && add(inputs, path, label, NULL, false) == 0)
		return 0;
	close(fd);
	return -1;
}

/* Of a shell's <(command). In a directory of others, a pipe would keep the reader waiting. */
static int add_pipe(struct inputs *inputs, const char *path)
{
	int fd, result;

	errno = ESPIPE;
	if (strncmp(path, "/dev/fd/", 8))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -1;
	result = add_stream(inputs, fd, path);
	close(fd);
	return result;
}

int inputs_add(struct inputs *inputs, const char *argument)
{
	struct stat status;

	if (!strcmp(argument, "-"))
		return add_stream(inputs, STDIN_FILENO, "standard input");
	if (stat(argument, &status) < 0)
		return -1;
	if (S_ISDIR(status.st_mode))
		return add_directory(inputs, argument);
	if (!S_ISREG(status.st_mode))
		return add_pipe(inputs, argument);
	return add(inputs, argument, argument, NULL, false);
}

void inputs_free(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->count; i++) {
		free(inputs->list[i].path);
		free(inputs->list[i].label);
		free(inputs->list[i].failed);
	}
	free(inputs->list);
	*inputs = (struct inputs){0};
}
