/* SPDX-License-Identifier: Apache-2.0 */
#include "room.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "large.h"
#include "settings.h"
#include "system.h"
#include "tlstall/environment.h"

static bool is_limited(void)
{
	return settings.limit && !settings.private_directory;
}

static const char *name_of(const char *prefix)
{
	snprintf(large_path, sizeof(large_path), "%s/%s%u", settings.directory, prefix,
		 (unsigned)system_geteuid());
	return large_path;
}

uint64_t room_units(uint64_t bytes)
{
	return (bytes + TLSTALL_UNIT - 1) / TLSTALL_UNIT;
}

/* A file of another user, or not a regular one, counts as empty. */
static uint64_t count(const char *prefix)
{
	struct statx st;

	if (system_statx(AT_FDCWD, name_of(prefix), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st) ||
	    !S_ISREG(st.stx_mode) || st.stx_uid != system_geteuid() || st.stx_size > INT64_MAX / 2)
		return 0;
	return st.stx_size;
}

int64_t room_left(void)
{
	uint64_t taken, given_back;

	if (!is_limited())
		return INT64_MAX;
	taken = count(TLSTALL_TAKEN_PREFIX);
	given_back = count(TLSTALL_GIVEN_BACK_PREFIX);
	return (int64_t)room_units(settings.limit) - (int64_t)taken + (int64_t)given_back;
}

/*
 * Bytes written at once, and the size from which all earlier contents are punched out: only the
 * file's size is ever read.
 */
#define MOST 4096
#define TIDY 65536

static void tidy(int fd, uint64_t added)
{
	off_t end = system_lseek(fd, 0, SEEK_CUR);

	if (end > TIDY && (uint64_t)end % TIDY < added)
		system_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 end / TIDY * TIDY);
}

/* A write beyond RLIMIT_FSIZE would kill the program. */
static bool may_grow(uint64_t size)
{
	struct rlimit limit;

	return !system_getrlimit(RLIMIT_FSIZE, &limit) && size + 2 * TIDY < limit.rlim_cur;
}

static void write_zeros(int fd, uint64_t size)
{
	static const char zeros[MOST];
	uint64_t part;

	for (; size; size -= part) {
		part = size < MOST ? size : MOST;
		if (system_write(fd, zeros, part) != (ssize_t)part)
			return;
		tidy(fd, part);
	}
}

static void append(const char *prefix, uint64_t units)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct statx st;
	int fd;

	if (!is_limited() || !units)
		return;
	fd = system_open(name_of(prefix), flags, 0600);
	if (fd < 0)
		return;
	if (!system_statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) && S_ISREG(st.stx_mode) &&
	    st.stx_uid == system_geteuid() && may_grow(st.stx_size + units))
		write_zeros(fd, units);
	system_close(fd);
}

void room_take(uint64_t units)
{
	append(TLSTALL_TAKEN_PREFIX, units);
}

void room_give_back(uint64_t units)
{
	append(TLSTALL_GIVEN_BACK_PREFIX, units);
}
