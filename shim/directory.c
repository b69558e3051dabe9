/* SPDX-License-Identifier: Apache-2.0 */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "large.h"
#include "local.h"
#include "room.h"
#include "settings.h"
#include "system.h"
#include "tlstall/environment.h"

#define OTHERS_MAY_WRITE 022u

/* A group of the user's own is as trustworthy as the user. */
static bool others_may_write(const struct statx *st)
{
	return (st->stx_mode & S_IWOTH) ||
	       ((st->stx_mode & S_IWGRP) && st->stx_gid != system_getegid());
}

/* A file system that may hang is not accessed, unless the settings allow it. */
static bool may_be_asked(const char *path)
{
	return settings.remote || local_is(path);
}

/* The default directory must be writable for this user only. */
static int prepare_default(const char *path)
{
	struct statx st;

	if (!may_be_asked(path))
		return REASON_REMOTE;
	system_mkdir(path, 0700);
	if (system_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MODE | STATX_UID, &st))
		return errno;
	if (!S_ISDIR(st.stx_mode))
		return ENOTDIR;
	return st.stx_uid == system_geteuid() && !(st.stx_mode & OTHERS_MAY_WRITE) ? 0 : EACCES;
}

#define WANTED (STATX_MODE | STATX_UID | STATX_GID | STATX_INO)

/* Makes the directory if the user has not. */
static int look(struct statx *st)
{
	if (!system_statx(AT_FDCWD, settings.directory, 0, WANTED, st))
		return 0;
	if (errno != ENOENT || system_mkdir(settings.directory, 0700))
		return errno;
	return system_statx(AT_FDCWD, settings.directory, 0, WANTED, st) ? errno : 0;
}

static int prepare_named(bool *shared)
{
	struct statx st;
	int reason = may_be_asked(settings.directory) ? look(&st) : REASON_REMOTE;

	if (reason)
		return reason;
	if (!S_ISDIR(st.stx_mode))
		return ENOTDIR;
	*shared = others_may_write(&st);
	/* with the sticky bit, others may occupy our names but cannot remove our files */
	return *shared && !(st.stx_mode & S_ISVTX) ? REASON_SHARED : 0;
}

/* Identifies the directory as first found: in a chroot, its path may lead anywhere. */
static struct {
	bool known, shared;
	uint32_t major, minor;
	uint64_t inode;
} place;

static bool is_it(int at, const char *path, int flags)
{
	struct statx st;

	return place.known && !system_statx(at, path, flags, STATX_INO, &st) &&
	       place.major == st.stx_dev_major && place.minor == st.stx_dev_minor &&
	       place.inode == st.stx_ino;
}

bool directory_is_at_its_place(void)
{
	return place.known && may_be_asked(settings.directory) && is_it(AT_FDCWD, settings.directory, 0);
}

bool directory_is_it(int fd)
{
	return is_it(fd, "", AT_EMPTY_PATH);
}

void directory_forget(void)
{
	place.known = false;
}

static int find_place(void)
{
	int reason = settings.directory_is_default ? prepare_default(settings.directory)
						   : prepare_named(&place.shared);
	struct statx st;

	if (reason || system_statx(AT_FDCWD, settings.directory, 0, STATX_INO, &st))
		return reason ? reason : errno;
	place.known = true;
	place.major = st.stx_dev_major;
	place.minor = st.stx_dev_minor;
	place.inode = st.stx_ino;
	return 0;
}

/* Space left to others: a twentieth of the file system, but at most this many bytes. */
#define LEFT_PART 20
#define LEFT_MOST (256ull << 20)

/* One system call, however many files the directory contains. */
static int has_room(void)
{
	struct statfs fs;
	uint64_t size, free, left;

	if (system_statfs(settings.directory, &fs) || !fs.f_blocks)
		return room_left() > 0 ? 0 : REASON_LIMIT;
	size = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
	free = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	left = size / LEFT_PART < LEFT_MOST ? size / LEFT_PART : LEFT_MOST;
	if (free < TLSTALL_SIZE_MIN)
		return ENOSPC;
	if (free < left)
		return REASON_FULL;
	return room_left() > 0 ? 0 : REASON_LIMIT;
}

int directory_prepare(bool *shared)
{
	int reason = 0;

	if (!place.known)
		reason = find_place();
	else if (!directory_is_at_its_place())
		reason = ENOENT;
	*shared = place.shared;
	return reason ? reason : has_room();
}

/* ---- notes ---------------------------------------------------------------------- */

static const char *reason_name(int reason)
{
	static const struct {
		int number;
		char name[16];
	} table[] = {
		{ENOSPC, "ENOSPC"},	     {EDQUOT, "EDQUOT"},	 {EFBIG, "EFBIG"},
		{EACCES, "EACCES"},	     {EPERM, "EPERM"},		 {EROFS, "EROFS"},
		{ENOENT, "ENOENT"},	     {ENOTDIR, "ENOTDIR"},	 {ELOOP, "ELOOP"},
		{ENOMEM, "ENOMEM"},	     {EMFILE, "EMFILE"},	 {ENFILE, "ENFILE"},
		{EEXIST, "EEXIST"},	     {REASON_SHARED, "SHARED"}, {REASON_FULL, "FULL"},
		{REASON_REMOTE, "REMOTE"}, {REASON_LIMIT, "LIMIT"},
		{REASON_ARCHITECTURE, "ARCHITECTURE"}, {REASON_CODE, "CODE"},
		{REASON_PROTECTED, "PROTECTED"}, {REASON_THREADS, "THREADS"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].number == reason)
			return table[i].name;
	return "EIO";
}

LARGE static char path_of_note[PATH_MAX + 96];

/* mknod(2), because open(2) needs a descriptor, which may be what is missing. */
static bool leave(const char *directory, const struct self *self, int reason)
{
	snprintf(path_of_note, sizeof(path_of_note),
		 "%s/%u-%llu-%016llx" TLSTALL_FAILED_INFIX "%s", directory, self->pid,
		 (unsigned long long)self->start_time,
		 (unsigned long long)(self->start_time ? self_tag(self, false) : 0),
		 reason_name(reason));
	if (!system_mknod(path_of_note, S_IFREG | 0600, 0) || errno == EEXIST)
		return true;
	path_of_note[0] = '\0';
	return false;
}

/* Notes take space too: after this many about the limit, there are no more. */
#define NOTES 1024

static bool is_worth_a_note(int reason)
{
	if (reason != REASON_LIMIT)
		return true;
	if (room_left() <= -NOTES)
		return false;
	room_take(1);
	return true;
}

void directory_note(const struct self *self, int reason)
{
	LARGE static char fallback[PATH_MAX];

	/* the path now leads to a place that was never meant for our files */
	if (!settings.directory[0] || (place.known && !directory_is_at_its_place()))
		return;
	if (!is_worth_a_note(reason))
		return;
	if (reason != REASON_REMOTE && leave(settings.directory, self, reason))
		return;
	if (settings.directory_is_default)
		return;
	settings_default_directory(fallback, sizeof(fallback));
	if (!prepare_default(fallback))
		leave(fallback, self, reason);
}

void directory_take_note_back(void)
{
	if (!path_of_note[0])
		return;
	system_unlink(path_of_note);
	path_of_note[0] = '\0';
}
