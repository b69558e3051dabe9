/* SPDX-License-Identifier: Apache-2.0 */
/* What the trace of a process lacks although the process has the shim. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"

/* A value of the line "Seccomp:" in /proc/PID/status. */
#define MODE_FILTER 2

void note_filter(struct check_result *result, long mode, const char *socket)
{
	if (mode != MODE_FILTER)
		return;
	if (socket && !strcmp(socket, "on"))
		add_note(result, NULL,
			 "is under a seccomp filter, and TLSTALL_SOCKET=on: the filter must allow the "
			 "shim's system calls, all of which are in systemd's @system-service");
	else
		add_note(result, NULL,
			 "is under a seccomp filter: its trace lacks the state of sockets, the CPU time of "
			 "calls that may block, and parts of the stacks of threads other than the main "
			 "one (TLSTALL_SOCKET=on records them, if the filter allows systemd's "
			 "@system-service)");
}

/* Whether that library defines functions that we interpose. */
static bool wraps(struct check_result *result, const struct root *root, const char *path)
{
	struct object object = {0};
	int fd = root_open(root, path), error;
	bool found;

	if (fd < 0)
		return false;
	error = object_read(fd, &object);
	result->starved |= error == -ENOMEM;
	found = !error && (object.exports & OBJECT_LIBSSL_BITS) &&
		(!object.soname || strncmp(object.soname, "libssl.", 7) != 0);
	object_free(&object);
	close(fd);
	return found;
}

static void note_order(struct check_result *result, const char *path, bool before)
{
	add_note(result, path, "%s",
		 before ? "is another preloaded library with functions of libssl, before the shim: calls "
			  "of plugins opened with RTLD_DEEPBIND may bypass the shim"
			: "is another preloaded library with functions of libssl, after the shim: it is "
			  "called as it would be without the shim");
}

/* Separates libraries as the dynamic loader does. */
void note_preloads(struct check_result *result, const struct root *root, const char *preload)
{
	bool before = true;

	for (size_t length; preload && *preload; preload += length + (preload[length] != '\0')) {
		char path[PATH_MAX];
		const char *name;

		length = strcspn(preload, ": ");
		if (!length || length >= sizeof(path))
			continue;
		memcpy(path, preload, length);
		path[length] = '\0';
		name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
		if (!strcmp(name, "libtlstall.so"))
			before = false;
		else if (path[0] == '/' && wraps(result, root, path))
			note_order(result, path, before);
	}
}
