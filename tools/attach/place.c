/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/obstacles.h"
#include "tlstall/attach.h"

static bool is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return !stat(a, &one) && !stat(b, &other) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static void root_of(pid_t pid, char *out, size_t size)
{
	snprintf(out, size, "/proc/%d/root", pid);
	if (is_same_file(out, "/"))
		*out = '\0';
}

bool place_is_same(pid_t pid, const char *path)
{
	char there[PATH_MAX + 32];

	snprintf(there, sizeof(there), "/proc/%d/root%.4000s", pid, path);
	return is_same_file(there, path);
}

void place_from_here(pid_t pid, const char *path, char *out, size_t size)
{
	char root[32];

	/* the roots are the same, but the mounts below may differ */
	root_of(pid, root, sizeof(root));
	if (!*root && !place_is_same(pid, path))
		snprintf(root, sizeof(root), "/proc/%d/root", pid);
	snprintf(out, size, "%s%s", root, path);
}

void place_as_seen(pid_t pid, const char *path, char *out, size_t size)
{
	char root[32];
	size_t length = (size_t)snprintf(root, sizeof(root), "/proc/%d/root", pid);

	snprintf(out, size, "%s", strncmp(path, root, length) ? path : path + length);
}

/* ---- a directory ------------------------------------------------------------------------- */

/* The directory belongs to that process's user, the only one who may write traces there. */
static int give(const struct attach *attach, const char *path)
{
	long user = obstacles_field(attach->pid, "Uid"), group = obstacles_field(attach->pid, "Gid");

	if (user < 0 || group < 0 || geteuid() == (uid_t)user)
		return 0;
	return lchown(path, (uid_t)user, (gid_t)group);
}

static int make_in(struct attach *attach, const char *top)
{
	char pattern[PATH_MAX];

	snprintf(pattern, sizeof(pattern), "%s/tlstall-run-XXXXXX", top);
	place_from_here(attach->pid, top, attach->place, sizeof(attach->place) - 32);
	if (strlen(attach->place) > TLSTALL_ATTACH_DIRECTORY - 64)
		return -1;
	strcat(attach->place, "/tlstall-run-XXXXXX");
	if (!mkdtemp(attach->place))
		return -1;
	if (!give(attach, attach->place))
		return 0;
	rmdir(attach->place);
	return -1;
}

static int make_private(struct attach *attach, char *why, size_t size)
{
	const char *tops[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"};

	for (size_t i = 0; i < sizeof(tops) / sizeof(*tops); i++) {
		attach->made = tops[i] && tops[i][0] == '/' && !make_in(attach, tops[i]);
		if (attach->made)
			return 0;
	}
	snprintf(why, size, "cannot create a directory for the trace in /tmp of process %d: %s",
		 attach->pid, strerror(errno));
	return -1;
}

int place_make(struct attach *attach, char *why, size_t size)
{
	char given[PATH_MAX];
	struct stat status;

	if (!attach->directory)
		return make_private(attach, why, size);
	if (mkdir(attach->directory, 0700) == 0) {
		if (give(attach, attach->directory))
			return -1;
	} else if (errno != EEXIST) {
		snprintf(why, size, "cannot create directory %s: %s", attach->directory,
			 strerror(errno));
		return -1;
	}
	if (!realpath(attach->directory, given) || stat(given, &status) ||
	    !S_ISDIR(status.st_mode) || strlen(given) >= TLSTALL_ATTACH_DIRECTORY - 64) {
		snprintf(why, size, "cannot keep traces in %s", attach->directory);
		return -1;
	}
	if (!place_is_same(attach->pid, given)) {
		snprintf(why, size, "process %d cannot see the directory %s", attach->pid, given);
		return -1;
	}
	snprintf(attach->place, sizeof(attach->place), "%s", given);
	return 0;
}

void place_remove(const struct attach *attach)
{
	if (attach->made)
		rmdir(attach->place);
}
