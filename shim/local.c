/* SPDX-License-Identifier: Apache-2.0 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "large.h"
#include "system.h"

/* ---- kinds of file systems ------------------------------------------------------------ */

/* Data in memory or on a disk of this host, code in its kernel. */
static const char kinds[][12] = {
	"tmpfs", "ext4",   "xfs",      "btrfs",	   "overlay", "ext3",	  "ext2",   "zfs",
	"f2fs",	 "ramfs",  "rootfs",   "bcachefs", "erofs",   "squashfs", "vfat",   "exfat",
	"jfs",	 "nilfs2", "reiserfs", "ubifs",	   "ntfs3",   "devtmpfs", "aufs",   "proc",
	"sysfs", "jffs2",  "udf",      "iso9660",  "hfsplus", "tracefs",  "debugfs",
};

static bool is_local_kind(const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i], kind))
			return true;
	return false;
}

/* ---- the list of mounts ----------------------------------------------------------------- */

/* Not on the stack, which may be small in a thread. */
static struct list {
	int fd;
	size_t at, size;
	char kind[32];
	char text[1024];
} list;

/* A mount point; later, the target of a symbolic link. */
LARGE static char target[PATH_MAX];

static bool more(void)
{
	ssize_t got = system_read(list.fd, list.text, sizeof(list.text));

	list.at = 0;
	list.size = got > 0 ? (size_t)got : 0;
	return list.size > 0;
}

static inline int next_char(void)
{
	return list.at < list.size || more() ? (unsigned char)list.text[list.at++] : -1;
}

/* Skips to the next blank or end of line and returns it; -1: end of the list. */
static int skip_field(void)
{
	int c;

	while ((c = next_char()) > ' ')
		;
	return c;
}

/* Cuts a field that is too long. */
static int read_field(char *to, size_t room)
{
	size_t used = 0;
	int c;

	while ((c = next_char()) > ' ')
		if (used + 1 < room)
			to[used++] = (char)c;
	to[used] = '\0';
	return c;
}

/* "36 35 98:0 /root /point options optional... - kind source options" */
#define FIELD_POINT 4

static bool read_line(void)
{
	int end = ' ';

	target[0] = list.kind[0] = '\0';
	for (int i = 0; end == ' ' && i <= FIELD_POINT; i++)
		end = i == FIELD_POINT ? read_field(target, sizeof(target)) : skip_field();
	while (end == ' ' && strcmp(list.kind, "-") != 0)
		end = read_field(list.kind, sizeof(list.kind));
	if (end == ' ')
		end = read_field(list.kind, sizeof(list.kind));
	while (end == ' ')
		end = skip_field();
	return end >= 0 || list.kind[0];
}

static bool is_octal(const char *at)
{
	for (int i = 0; i < 3; i++)
		if (at[i] < '0' || at[i] > '7')
			return false;
	return true;
}

/* Blanks and some other characters are written in octal, such as \040. */
static char unescape(const char **at)
{
	const char *from = *at;

	if (from[0] != '\\' || !is_octal(from + 1)) {
		*at = from + 1;
		return *from;
	}
	*at = from + 4;
	return (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
}

/* Whether the path leads through that mount point. The root does not count. */
static bool leads_through(const char *path, const char *point)
{
	if (!point[0] || !strcmp(point, "/"))
		return false;
	while (*point) {
		/* "//" is "/" */
		while (path[0] == '/' && path[1] == '/')
			path++;
		if (unescape(&point) != *path++)
			return false;
	}
	return *path == '\0' || *path == '/';
}

bool local_is_by(const char *name, const char *path)
{
	bool good = true;

	list.at = list.size = 0;
	list.fd = system_open(name, O_RDONLY | O_CLOEXEC, 0);
	/* the first thread has ended, so /proc/self is a zombie's */
	if (list.fd < 0 && errno == EINVAL)
		list.fd = system_open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC, 0);
	if (list.fd < 0)
		return true;
	while (good && read_line())
		good = !leads_through(path, target) || is_local_kind(list.kind);
	system_close(list.fd);
	return good;
}

/* ---- links -------------------------------------------------------------------------------- */

/* The path as resolved so far. */
static char *const way = large_path;

/* Replaces way[from .. to), which is a link, "." or "..", by text. */
static bool put(const char *text, size_t from, size_t to)
{
	size_t length = strlen(text), rest = strlen(way + to);

	if (from + length + rest >= PATH_MAX)
		return false;
	memmove(way + from + length, way + to, rest + 1);
	memcpy(way + from, text, length);
	return true;
}

static bool is_name(const char *name, size_t from, size_t to)
{
	return to - from == strlen(name) && !memcmp(way + from, name, to - from);
}

/* From the "/" before a name to the one after it. */
static size_t end_of_name(size_t at)
{
	return at + 1 + strcspn(way + at + 1, "/");
}

static size_t parent_of(size_t at)
{
	while (at && way[--at] != '/')
		;
	return at;
}

/* 1: the path has changed, look again; 0: it has no more links; -1: it is too long. */
static int follow(void)
{
	for (size_t at = 0, end; way[at]; at = end) {
		ssize_t got;
		char after;

		end = end_of_name(at);
		if (is_name("/.", at, end))
			return put("", at, end) ? 1 : -1;
		if (is_name("/..", at, end))
			return put("", parent_of(at), end) ? 1 : -1;
		after = way[end];
		way[end] = '\0';
		got = system_readlink(way, target, sizeof(target) - 1);
		way[end] = after;
		if (got <= 0)
			continue;
		target[got] = '\0';
		return put(target, target[0] == '/' ? 0 : at + 1, end) ? 1 : -1;
	}
	return 0;
}

#define LINKS 16

bool local_is(const char *path)
{
	int more = 1;

	if (strlen(path) >= PATH_MAX)
		return false;
	strcpy(way, path);
	for (int i = 0; more > 0 && i < LINKS; i++) {
		if (!local_is_by("/proc/self/mountinfo", way))
			return false;
		more = follow();
	}
	return more == 0;
}
