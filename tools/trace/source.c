/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes come from: a file, memory, or the caller. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "regular.h"
#include "trace/internal.h"

ssize_t source_read(const struct trace_source *source, void *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = source->read_at(source->context, (char *)buffer + done, size - done,
					      offset + done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_io();
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int trace_read(const struct trace *trace, void *buffer, size_t count, size_t size, uint64_t offset)
{
	ssize_t got = source_read(&trace->source, buffer, count * size, offset);
	size_t whole;

	if (got < 0)
		return (int)got;
	whole = (size_t)got / size * size;
	memset((char *)buffer + whole, 0, count * size - whole);
	return 0;
}

int trace_read_entry(const struct trace *trace, enum tlstall_section_id id, uint32_t index,
		     void *buffer, size_t size)
{
	const struct tlstall_section *section = &trace->header.section[id];

	if (index >= trace->present[id])
		return 1;
	return trace_read(trace, buffer, 1, size,
			  section->offset + (uint64_t)index * section->entry_size);
}

/*
 * Such entries begin with their mark. Reads the mark first, since what it vouches for was stored
 * before it.
 */
int trace_read_committed(const struct trace *trace, enum tlstall_section_id id, uint32_t index,
			 void *buffer, size_t size)
{
	uint32_t commit;
	int result = trace_read_entry(trace, id, index, &commit, sizeof(commit));

	if (result || commit != 1)
		return result ? result : 1;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return trace_read_entry(trace, id, index, buffer, size);
}

/* ---- a file ------------------------------------------------------------ */

/*
 * There may be more traces than descriptors that a process may have. Those read last are open;
 * others are reopened when they are read. A file that has taken the name meanwhile is not used.
 * Threads do not share a trace, but they share this, and one may set aside the file of another.
 */
struct file {
	char *path;
	int fd; /* -1: closed for now */
	dev_t device;
	ino_t inode;
	struct file *newer, *older; /* among open files */
};

static struct {
	struct file *newest, *oldest;
	unsigned count, most;
	pthread_mutex_t lock;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define POOL_MOST 512u

static unsigned pool_room(void)
{
	struct rlimit limit;

	if (!pool.most && !getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur / 2 < POOL_MOST)
		pool.most = limit.rlim_cur > 8 ? (unsigned)limit.rlim_cur / 2 : 4;
	if (!pool.most)
		pool.most = POOL_MOST;
	return pool.most;
}

static void unlink_file(struct file *file)
{
	*(file->newer ? &file->newer->older : &pool.newest) = file->older;
	*(file->older ? &file->older->newer : &pool.oldest) = file->newer;
	file->newer = file->older = NULL;
	pool.count--;
}

static void link_newest(struct file *file)
{
	file->older = pool.newest;
	file->newer = NULL;
	*(pool.newest ? &pool.newest->newer : &pool.oldest) = file;
	pool.newest = file;
	pool.count++;
}

static void close_now(struct file *file)
{
	unlink_file(file);
	close(file->fd);
	file->fd = -1;
}

/* Closes it for now, and notes how to recognize it. */
static void put_aside(struct file *file)
{
	struct stat st;

	if (!fstat(file->fd, &st)) {
		file->device = st.st_dev;
		file->inode = st.st_ino;
	}
	close_now(file);
}

static bool is_same(const struct file *file)
{
	struct stat st;

	return !file->inode ||
	       (!fstat(file->fd, &st) && file->device == st.st_dev && file->inode == st.st_ino);
}

static int open_now(struct file *file)
{
	while (pool.count >= pool_room())
		put_aside(pool.oldest);
	/* anything may be there now */
	file->fd = regular_open(file->path);
	if (file->fd < 0)
		return -1;
	link_newest(file);
	if (is_same(file))
		return 0;
	close_now(file);
	errno = ESTALE;
	return -1;
}

static int get_ready(struct file *file)
{
	if (file->fd < 0)
		return open_now(file);
	if (pool.newest != file) {
		unlink_file(file);
		link_newest(file);
	}
	return 0;
}

static ssize_t file_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	struct file *file = context;
	ssize_t got = -1;

	if (offset > INT64_MAX - size)
		return 0;
	pthread_mutex_lock(&pool.lock);
	if (!get_ready(file))
		got = pread(file->fd, buffer, size, (off_t)offset);
	pthread_mutex_unlock(&pool.lock);
	return got;
}

static void file_close(void *context)
{
	struct file *file = context;

	pthread_mutex_lock(&pool.lock);
	if (file->fd >= 0)
		close_now(file);
	pthread_mutex_unlock(&pool.lock);
	free(file->path);
	free(file);
}

static int open_first(struct file *file)
{
	int result;

	pthread_mutex_lock(&pool.lock);
	result = open_now(file);
	pthread_mutex_unlock(&pool.lock);
	return result;
}

int source_of_path(const char *path, struct trace_source *out)
{
	struct file *file = calloc(1, sizeof(*file));

	*out = (struct trace_source){0};
	if (file)
		file->path = strdup(path);
	if (!file || !file->path) {
		free(file);
		return TRACE_ERROR_MEMORY;
	}
	if (open_first(file)) {
		error_io();
		free(file->path);
		free(file);
		return TRACE_ERROR_IO;
	}
	*out = (struct trace_source){file_read, file_close, file};
	return 0;
}

/* ---- memory ------------------------------------------------------------- */

struct bytes {
	const char *start;
	size_t size;
};

static ssize_t bytes_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	const struct bytes *bytes = context;

	if (offset >= bytes->size)
		return 0;
	if (size > bytes->size - offset)
		size = bytes->size - (size_t)offset;
	memcpy(buffer, bytes->start + offset, size);
	return (ssize_t)size;
}

int source_of_bytes(const void *start, size_t size, struct trace_source *out)
{
	struct bytes *bytes = malloc(sizeof(*bytes));

	if (!bytes)
		return TRACE_ERROR_MEMORY;
	*bytes = (struct bytes){start, size};
	*out = (struct trace_source){bytes_read, free, bytes};
	return 0;
}
