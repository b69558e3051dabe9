/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tlstall/environment.h"

static bool ends_in(const char *name, const char *end)
{
	size_t length = strlen(name), size = strlen(end);

	return length >= size && !strcmp(name + length - size, end);
}

static bool is_counted(const char *name)
{
	return ends_in(name, TLSTALL_TRACE_SUFFIX) || ends_in(name, TLSTALL_MAKING_SUFFIX) ||
	       strstr(name, TLSTALL_FAILED_INFIX);
}

/* A note takes one unit, which limits the number of notes. */
static uint64_t units_of(const struct stat *st)
{
	uint64_t units = (uint64_t)st->st_blocks * 512 / TLSTALL_UNIT;

	return units ? units : 1;
}

static int count(int directory, uid_t user, uint64_t *units)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct stat st;

	if (!stream)
		return -1;
	*units = 0;
	while ((entry = readdir(stream)))
		if (is_counted(entry->d_name) &&
		    !fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(st.st_mode) && st.st_uid == user)
			*units += units_of(&st);
	closedir(stream);
	return 0;
}

/* A new file replaces the old one. What others append to the old one meanwhile is lost. */
static int replace(int directory, const char *name, uid_t user, uint64_t size)
{
	char fresh[80];
	int fd, error = 0;

	snprintf(fresh, sizeof(fresh), "%s.new", name);
	unlinkat(directory, fresh, 0);
	fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)size) || (user != geteuid() && fchown(fd, user, (gid_t)-1)) ||
	    renameat(directory, fresh, directory, name))
		error = errno;
	close(fd);
	if (!error)
		return 0;
	unlinkat(directory, fresh, 0);
	errno = error;
	return -1;
}

/* In this order, so that in between, the count is too low rather than too high. */
static int settle(int directory, const char *taken)
{
	const char *user = taken + strlen(TLSTALL_TAKEN_PREFIX);
	char given_back[64], *end;
	unsigned long uid = strtoul(user, &end, 10);
	uint64_t units;
	struct stat st;

	if (*end || end == user || fstatat(directory, taken, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode) || st.st_uid != uid || (geteuid() && uid != geteuid()))
		return 0;
	snprintf(given_back, sizeof(given_back), TLSTALL_GIVEN_BACK_PREFIX "%lu", uid);
	if (count(directory, (uid_t)uid, &units))
		return -1;
	if (!units)
		return unlinkat(directory, taken, 0) || (unlinkat(directory, given_back, 0) && errno != ENOENT);
	return replace(directory, taken, (uid_t)uid, units) ||
	       replace(directory, given_back, (uid_t)uid, 0);
}

static int is_taken(const struct dirent *entry)
{
	return !strncmp(entry->d_name, TLSTALL_TAKEN_PREFIX, strlen(TLSTALL_TAKEN_PREFIX)) &&
	       strlen(entry->d_name) < 40;
}

/* All names are read before the first file is replaced. */
int trace_ledger_settle(const char *name)
{
	int directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), found, error = 0;
	struct dirent **taken = NULL;

	if (directory < 0)
		return -1;
	found = scandirat(directory, ".", &taken, is_taken, NULL);
	if (found < 0)
		error = errno;
	for (int i = 0; i < found; i++) {
		if (settle(directory, taken[i]->d_name))
			error = errno;
		free(taken[i]);
	}
	free(taken);
	close(directory);
	errno = error;
	return error ? -1 : 0;
}
