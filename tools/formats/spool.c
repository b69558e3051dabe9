/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/spool_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "now.h"
#include "words/words.h"

/* In memory, while the directory accepts nothing more. */
#define MEMORY_BYTES (16u << 20)

static const char *name_of(uint64_t number, const char *ending, char name[SPOOL_NAME])
{
	snprintf(name, SPOOL_NAME, "%016" PRIx64 "%s", number, ending);
	return name;
}

/* ---- batches --------------------------------------------------------------------------- */

struct batch *spool_add_batch(struct spool *s, uint64_t number)
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
	char from[SPOOL_NAME], to[SPOOL_NAME];

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
	char name[SPOOL_NAME];
	struct batch *batch;
	int error;

	if (!has_room(s, in_file, size))
		return -1;
	if (s->count)
		seal(s, &s->list[s->count - 1]);
	batch = spool_add_batch(s, in_file ? s->next++ : 0);
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
	char name[SPOOL_NAME];
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

static bool is_due(const struct spool *s, size_t i)
{
	const struct batch *batch = &s->list[i];

	return i + 1 < s->count || is_complete(s, batch, 0) ||
	       now_ns(CLOCK_MONOTONIC) - batch->begun_ns >= s->limits.batch_ns;
}

/* The oldest that has not failed, or else the one whose failure is longest ago. */
static bool choose(struct spool *s, bool now)
{
	bool found = false;

	for (size_t i = 0; i < s->count; i++) {
		if (found && s->list[i].turn >= s->list[s->current].turn)
			continue;
		if (!now && !is_due(s, i))
			continue;
		s->current = i;
		if (!s->list[i].turn)
			return true;
		found = true;
	}
	return found;
}

bool spool_first(struct spool *s, bool now, struct spool_batch *out)
{
	while (choose(s, now)) {
		struct batch *batch = &s->list[s->current];

		seal(s, batch);
		if (load(s, batch)) {
			*out = (struct spool_batch){batch->bytes, batch->size, batch->items};
			return true;
		}
		/* an unreadable file stays where it is */
		remove_batch(s, s->current, batch->bytes ? NULL : ROWS);
	}
	return false;
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

static void doubt_server(struct spool *s)
{
	s->doubts++;
	s->taken = 0;
}

void spool_taken(struct spool *s)
{
	/* what failed before did not fail by its own fault */
	if (s->list[s->current].turn)
		doubt_server(s);
	else
		s->taken++;
	remove_batch(s, s->current, NULL);
}

bool spool_failed(struct spool *s)
{
	struct batch *batch = &s->list[s->current];

	if (!batch->turn)
		doubt_server(s);
	if (batch->doubts != s->doubts)
		batch->refusals = 0;
	batch->doubts = s->doubts;
	batch->turn = ++s->turns;
	batch->refusals += s->taken >= SPOOL_OTHERS;
	if (batch->number) {
		free(batch->bytes);
		batch->bytes = NULL;
	}
	return batch->refusals >= SPOOL_REFUSALS;
}

bool spool_refused(struct spool *s, char *where, size_t size)
{
	uint64_t number = s->list[s->current].number;
	char name[SPOOL_NAME];

	remove_batch(s, s->current, REFUSED);
	if (number)
		snprintf(where, size, "%s/%s", s->limits.directory, name_of(number, REFUSED, name));
	return number;
}

/* ---- how much there is -------------------------------------------------------------------- */

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
