/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/place.h"

#include <asm/unistd.h> /* sys/syscall.h lists only what its glibc was built with */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* ---- a directory ------------------------------------------------------------------------- */

/* The directory belongs to that process's user, the only one who may write traces there. */
static int give(const struct attach *attach, int directory)
{
	long user = obstacles_field(attach->pid, "Uid"), group = obstacles_field(attach->pid, "Gid");

	if (user < 0 || group < 0 || geteuid() == (uid_t)user)
		return 0;
	return fchown(directory, (uid_t)user, (gid_t)group);
}

static bool has_our_root(pid_t pid)
{
	char root[32];

	root_of(pid, root, sizeof(root));
	return !*root;
}

/* In another root, links lead where they lead that process. */
static int open_top(pid_t pid, const char *top)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	char path[32];
	int root, fd;

	if (has_our_root(pid) && place_is_same(pid, top))
		return open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	fd = (int)syscall(__NR_openat2, root, top, &how, sizeof(how));
	close(root);
	return fd;
}

static const char *own_name(const struct attach *attach)
{
	return strrchr(attach->seen, '/') + 1;
}

static bool make_below(struct attach *attach, const char *top)
{
	snprintf(attach->place, sizeof(attach->place), "/proc/self/fd/%d/tlstall-run-XXXXXX", attach->top);
	if (!mkdtemp(attach->place))
		return false;
	snprintf(attach->seen, sizeof(attach->seen), "%s%s", top, strrchr(attach->place, '/'));
	attach->own = openat(attach->top, own_name(attach), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (attach->own >= 0 && !give(attach, attach->own))
		return true;
	if (attach->own >= 0)
		close(attach->own);
	unlinkat(attach->top, own_name(attach), AT_REMOVEDIR);
	return false;
}

static bool make_in(struct attach *attach, const char *top)
{
	int error;

	if (top[0] != '/' || strlen(top) > sizeof(attach->seen) - 96)
		return false;
	attach->top = open_top(attach->pid, top);
	if (attach->top < 0)
		return false;
	if (make_below(attach, top)) {
		snprintf(attach->place, sizeof(attach->place), "/proc/self/fd/%d", attach->own);
		return true;
	}
	error = errno;
	close(attach->top);
	errno = error;
	return false;
}

/* A lock on the directory, for as long as this tool will remove it. */
static int watch = -1;

static void begin_watch(const struct attach *attach)
{
	watch = openat(attach->own, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (watch >= 0)
		flock(watch, LOCK_SH | LOCK_NB);
}

void place_end_watch(void)
{
	if (watch >= 0)
		close(watch);
	watch = -1;
}

/* If it is gone, it was. */
bool place_is_watched(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	bool watched;

	if (fd < 0)
		return errno == ENOENT;
	watched = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	close(fd);
	return watched;
}

static int make_private(struct attach *attach, char *why, size_t size)
{
	const char *tops[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"};

	for (size_t i = 0; i < sizeof(tops) / sizeof(*tops); i++) {
		attach->made = tops[i] && make_in(attach, tops[i]);
		if (attach->made) {
			begin_watch(attach);
			return 0;
		}
	}
	snprintf(why, size, "cannot create a directory for the trace in /tmp of process %d: %s",
		 attach->pid, strerror(errno));
	return -1;
}

/* 0 also if it is there already. */
static int make_named(const struct attach *attach)
{
	int fd, result;

	if (mkdir(attach->directory, 0700))
		return errno == EEXIST ? 0 : -1;
	fd = open(attach->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = give(attach, fd);
	close(fd);
	return result;
}

int place_make(struct attach *attach, char *why, size_t size)
{
	char given[PATH_MAX];
	struct stat status;

	if (!attach->directory)
		return make_private(attach, why, size);
	if (make_named(attach)) {
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
	snprintf(attach->seen, sizeof(attach->seen), "%s", given);
	return 0;
}

void place_remove(const struct attach *attach)
{
	if (!attach->made)
		return;
	unlinkat(attach->top, own_name(attach), AT_REMOVEDIR);
	place_end_watch();
	close(attach->own);
	close(attach->top);
}
