/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "now.h"
#include "words/words.h"

#define ROWS ".rows"
#define REFUSED ".refused"
#define NAME_SIZE 32
/* In memory, while the directory accepts nothing more. */
#define MEMORY_BYTES (16u << 20)

struct batch {
	uint64_t number; /* of its file; 0: in memory */
	char *bytes;	 /* in memory, or while being sent */
	size_t size, room;
	unsigned items;
	uint64_t begun_ns;
	bool sealed;
};

struct spool {
	struct spool_options limits;
	int directory, file, clock; /* -1: none; `file`: of the last batch */
	struct batch *list;
	size_t count, room;
	uint64_t next;			   /* number */
	uint64_t file_bytes, memory_bytes; /* including refused files */
	uint64_t noted_ns;
	bool full, failing; /* already reported */
};

static const char *name_of(uint64_t number, const char *ending, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%016" PRIx64 "%s", number, ending);
	return name;
}

/* ---- batches --------------------------------------------------------------------------- */

static struct batch *add_batch(struct spool *s, uint64_t number)
{
	size_t room = s->room ? s->room * 2 : 16;
	struct batch *list = s->list;

	if (s->count == s->room) {
		list = reallocarray(list, room, sizeof(*list));
		if (!list)
			return NULL;
		s->list = list;
		s->room = room;
	}
	list[s->count] = (struct batch){.number = number, .begun_ns = now_ns(CLOCK_MONOTONIC)};
	return &list[s->count++];
}

static void seal(struct spool *s, struct batch *batch)
{
	if (!batch->sealed && s->file >= 0) {
		close(s->file);
		s->file = -1;
	}
	batch->sealed = true;
}

static void remove_batch(struct spool *s, size_t i, const char *new_ending)
{
	struct batch *batch = &s->list[i];
	char from[NAME_SIZE], to[NAME_SIZE];

	seal(s, batch);
	if (batch->number && new_ending)
		renameat(s->directory, name_of(batch->number, ROWS, from), s->directory,
			 name_of(batch->number, new_ending, to));
	else if (batch->number)
		unlinkat(s->directory, name_of(batch->number, ROWS, from), 0);
	if (!batch->number)
		s->memory_bytes -= batch->size;
	else if (!new_ending)
		s->file_bytes -= batch->size;
	free(batch->bytes);
	memmove(batch, batch + 1, (--s->count - i) * sizeof(*batch));
}

/* ---- adding ------------------------------------------------------------------------------ */

static int append_memory(struct spool *s, struct batch *batch, const void *item, size_t size)
{
	size_t room = batch->room ? batch->room : 16384;
	char *grown;

	while (room < batch->size + size)
		room *= 2;
	grown = room == batch->room ? batch->bytes : realloc(batch->bytes, room);
	if (!grown)
		return -1;
	batch->bytes = grown;
	batch->room = room;
	memcpy(batch->bytes + batch->size, item, size);
	s->memory_bytes += size;
	return 0;
}

/* An item that was written only in part is cut off again. */
static int append_file(struct spool *s, struct batch *batch, const void *item, size_t size)
{
	const char *bytes = item;
	size_t done = 0;
	ssize_t part = 0;

	while (done < size && part >= 0) {
		part = pwrite(s->file, bytes + done, size - done, (off_t)(batch->size + done));
		done += part > 0 ? (size_t)part : 0;
	}
	if (part < 0) {
		int error = errno;

		if (ftruncate(s->file, (off_t)batch->size))
			error = errno;
		errno = error;
		return -1;
	}
	s->file_bytes += size;
	return 0;
}

static int append(struct spool *s, struct batch *batch, const void *item, size_t size)
{
	if (batch->number ? append_file(s, batch, item, size) : append_memory(s, batch, item, size))
		return -1;
	batch->size += size;
	batch->items++;
	return 0;
}

static bool has_room(const struct spool *s, bool in_file, size_t more)
{
	uint64_t limit = s->directory < 0 || in_file ? s->limits.bytes : MEMORY_BYTES;

	return (in_file ? s->file_bytes : s->memory_bytes) + more <= limit;
}

static bool is_complete(const struct spool *s, const struct batch *batch, size_t more)
{
	return batch->sealed || batch->items >= s->limits.batch_items ||
	       (batch->items && batch->size + more > s->limits.batch_bytes);
}

static int add_to_last(struct spool *s, const void *item, size_t size)
{
	struct batch *last = s->count ? &s->list[s->count - 1] : NULL;

	if (!last || is_complete(s, last, size) || !has_room(s, last->number, size))
		return -1;
	return append(s, last, item, size);
}

static int add_to_new(struct spool *s, bool in_file, const void *item, size_t size)
{
	char name[NAME_SIZE];
	struct batch *batch;
	int error;

	if (!has_room(s, in_file, size))
		return -1;
	if (s->count)
		seal(s, &s->list[s->count - 1]);
	batch = add_batch(s, in_file ? s->next++ : 0);
	if (!batch)
		return -1;
	if (in_file)
		s->file = openat(s->directory, name_of(batch->number, ROWS, name),
				 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if ((!in_file || s->file >= 0) && !append(s, batch, item, size))
		return 0;
	error = errno;
	remove_batch(s, s->count - 1, NULL);
	errno = error;
	return -1;
}

static void say_failing(struct spool *s)
{
	if (!s->failing)
		complain("%s cannot be written: %s; %s wait in memory", s->limits.directory,
			 strerror(errno), s->limits.what);
	s->failing = true;
}

static int say_full(struct spool *s)
{
	char size[WORD_SIZE];

	if (!s->full)
		complain("%s full (%s): further %s are dropped",
			 s->directory >= 0 && !s->failing ? "the spool is"
							  : "the buffer in memory is",
			 word_size(s->file_bytes + s->memory_bytes, size), s->limits.what);
	s->full = true;
	return -1;
}

int spool_add(struct spool *s, const void *item, size_t size)
{
	bool in_file = s->directory >= 0 && has_room(s, true, size);

	if (!add_to_last(s, item, size)) {
		s->full = false;
		return 0;
	}
	if (s->directory >= 0 && !in_file)
		return say_full(s);
	if (in_file && !add_to_new(s, true, item, size)) {
		s->full = s->failing = false;
		return 0;
	}
	if (in_file)
		say_failing(s);
	if (!add_to_new(s, false, item, size)) {
		s->full = false;
		return 0;
	}
	return say_full(s);
}

/* ---- taking -------------------------------------------------------------------------------- */

static ssize_t read_all(int file, char *bytes, size_t size)
{
	size_t done = 0;
	ssize_t part = 1;

	while (done < size && part > 0) {
		part = read(file, bytes + done, size - done);
		done += part > 0 ? (size_t)part : 0;
	}
	return part < 0 ? -1 : (ssize_t)done;
}

/* A killed process may have left half a line at the end; a power failure, zeros. */
static size_t whole_lines(const char *bytes, size_t size)
{
	const char *end;

	size = strnlen(bytes, size);
	end = memrchr(bytes, '\n', size);
	return end ? (size_t)(end + 1 - bytes) : 0;
}

static unsigned count_lines(const char *bytes, size_t size)
{
	unsigned lines = 0;

	for (size_t i = 0; i < size; i++)
		lines += bytes[i] == '\n';
	return lines;
}

static bool load(struct spool *s, struct batch *batch)
{
	char name[NAME_SIZE];
	int file;
	ssize_t size;

	if (batch->bytes)
		return batch->size;
	file = openat(s->directory, name_of(batch->number, ROWS, name),
		      O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	batch->bytes = file < 0 ? NULL : malloc(batch->size + 1);
	size = batch->bytes ? read_all(file, batch->bytes, batch->size) : -1;
	if (file >= 0)
		close(file);
	if (size < 0) {
		complain("%s/%s cannot be read: %s", s->limits.directory, name, strerror(errno));
		free(batch->bytes);
		batch->bytes = NULL;
		return false;
	}
	s->file_bytes -= batch->size;
	batch->size = whole_lines(batch->bytes, (size_t)size);
	s->file_bytes += batch->size;
	batch->items = count_lines(batch->bytes, batch->size);
	return batch->size;
}

static bool is_due(const struct spool *s, const struct batch *batch)
{
	return s->count > 1 || is_complete(s, batch, 0) ||
	       now_ns(CLOCK_MONOTONIC) - batch->begun_ns >= s->limits.batch_ns;
}

bool spool_first(struct spool *s, bool now, struct spool_batch *out)
{
	while (s->count && (now || is_due(s, &s->list[0]))) {
		struct batch *first = &s->list[0];

		seal(s, first);
		if (load(s, first)) {
			*out = (struct spool_batch){first->bytes, first->size, first->items};
			return true;
		}
		/* an unreadable file stays where it is */
		remove_batch(s, 0, first->bytes ? NULL : ROWS);
	}
	return false;
}

void spool_taken(struct spool *s)
{
	remove_batch(s, 0, NULL);
}

void spool_refused(struct spool *s)
{
	remove_batch(s, 0, REFUSED);
}

uint64_t spool_waiting(const struct spool *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->count; i++)
		bytes += s->list[i].size;
	return bytes;
}

uint64_t spool_kept(const struct spool *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->count; i++)
		bytes += s->list[i].number ? s->list[i].size : 0;
	return bytes;
}

uint64_t spool_at_risk(const struct spool *s)
{
	uint64_t items = 0;

	for (size_t i = 0; i < s->count; i++)
		items += s->list[i].number ? 0 : s->list[i].items;
	return items;
}

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
	if (number >= s->next)
		s->next = number + 1;
	batch = strcmp(end, ROWS) ? NULL : add_batch(s, number);
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
