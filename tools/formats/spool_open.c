/* SPDX-License-Identifier: Apache-2.0 */
/* What a spool finds in its directory, and its end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/spool_batch.h"
#include "message.h"

/* A batch is sent at once, from memory. */
#define MOST_BYTES (1u << 30)
/* Beyond, files may have any name, as no spool writes so many: ours would meet them. */
#define NUMBERS (UINT64_MAX / 2)

/* ---- the time up to which all was added ------------------------------------------------------ */

void spool_note_time(struct spool *s)
{
	if (s->clock >= 0)
		futimens(s->clock, NULL);
}

uint64_t spool_noted_ns(const struct spool *s)
{
	return s->noted_ns;
}

static void open_clock(struct spool *s)
{
	struct stat st;

	s->clock = openat(s->directory, "followed", O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (s->clock >= 0 && !fstat(s->clock, &st))
		s->noted_ns =
			(uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	if (s->clock < 0)
		s->clock = openat(s->directory, "followed",
				  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* ---- begin and end ------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	uint64_t one = ((const struct batch *)a)->number, two = ((const struct batch *)b)->number;

	return one < two ? -1 : one > two;
}

static void find_file(struct spool *s, const char *name)
{
	char *end;
	uint64_t number = strtoull(name, &end, 16);
	struct batch *batch;
	struct stat st;

	if (end != name + 16 || !number || (strcmp(end, ROWS) && strcmp(end, REFUSED)) ||
	    fstatat(s->directory, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	s->file_bytes += (uint64_t)st.st_size;
	if (number >= s->next && number < NUMBERS)
		s->next = number + 1;
	if (strcmp(end, ROWS))
		return;
	if (st.st_size > MOST_BYTES) {
		complain("%s/%s is too large to be sent: split it between lines", s->limits.directory, name);
		return;
	}
	batch = spool_add_batch(s, number);
	if (!batch)
		return;
	batch->sealed = true;
	batch->size = (size_t)st.st_size;
}

static int find_files(struct spool *s)
{
	int copy = openat(s->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!list)
		return -1;
	while ((entry = readdir(list)))
		find_file(s, entry->d_name);
	closedir(list);
	if (s->count)
		qsort(s->list, s->count, sizeof(*s->list), by_number);
	return 0;
}

/* What others could write would be sent in our name, so the directory must be ours alone. */
static int open_directory(struct spool *s, const char *path)
{
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return -1;
	s->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->directory < 0 || fstat(s->directory, &st))
		return -1;
	if (st.st_uid != geteuid() || (st.st_mode & 022)) {
		complain("%s: other users can write to this directory", path);
		errno = EPERM;
		return -1;
	}
	if (flock(s->directory, LOCK_EX | LOCK_NB) || find_files(s))
		return -1;
	open_clock(s);
	/* exceeding the limit on file size should be an ordinary error */
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

struct spool *spool_open(const struct spool_options *options)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->limits = *options;
	s->directory = s->file = s->clock = -1;
	s->next = 1;
	if (options->directory && open_directory(s, options->directory)) {
		int error = errno;

		complain("the spool %s cannot be used: %s", options->directory,
			 error == EWOULDBLOCK ? "another process uses it" : strerror(error));
		spool_close(s);
		errno = error;
		return NULL;
	}
	return s;
}

void spool_close(struct spool *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->list[i].bytes);
	if (s->file >= 0)
		close(s->file);
	if (s->clock >= 0)
		close(s->clock);
	if (s->directory >= 0)
		close(s->directory);
	free(s->list);
	free(s);
}
