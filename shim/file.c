/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "directory.h"
#include "large.h"
#include "layout.h"
#include "room.h"
#include "settings.h"
#include "system.h"
#include "tlstall/environment.h"

/* Empty if the file has no name yet: see open_new(). */
LARGE static char path_of_making[PATH_MAX + 96];

/* The parts of the trace's name; its path is built when needed. */
static struct {
	uint32_t pid, image;
	uint64_t start_time, tag;
} named;

/* ---- names ----------------------------------------------------------------------- */

static void name_file(char path[PATH_MAX + 96], uint64_t tag, const char *rest)
{
	snprintf(path, PATH_MAX + 96, "%s/%u-%llu-%016llx%s", settings.directory, named.pid,
		 (unsigned long long)named.start_time, (unsigned long long)tag, rest);
}

static const char *path_of_trace(void)
{
	char rest[40] = TLSTALL_TRACE_SUFFIX;

	if (named.image)
		snprintf(rest, sizeof(rest), "-%u" TLSTALL_TRACE_SUFFIX, named.image);
	name_file(large_path, named.tag, rest);
	return large_path;
}

/* ---- the image before exec --------------------------------------------------------- */

static bool store(int fd, const void *value, size_t size, uint64_t offset)
{
	return system_pwrite(fd, value, size, (off_t)offset) == (ssize_t)size;
}

/*
 * In this namespace and boot, no other process has had this id since that start time. Only a
 * process of the same user, who may write to this file anyway, can have written the header.
 */
static bool is_our_own(const struct tlstall_header *h, const struct self *self)
{
	return h->magic == TLSTALL_MAGIC && h->major == TLSTALL_MAJOR && h->minor >= 3 &&
	       self->start_time && self->pid_namespace && h->pid == self->pid &&
	       h->start_time == self->start_time && h->pid_namespace == self->pid_namespace &&
	       h->time_namespace == self->time_namespace &&
	       !strncmp(h->boot_id, self->boot_id, sizeof(h->boot_id));
}

static void write_end(int fd, const struct tlstall_header *header, uint64_t size)
{
	const uint64_t first = header->section[TLSTALL_SECTION_PROCESSES].offset;
	const uint32_t yes = 1;
	const uint64_t now = clock_ticks();

	if (first < sizeof(*header) || first > size - sizeof(struct tlstall_process))
		return;
	if (store(fd, &now, 8, offsetof(struct tlstall_header, exit_ticks)) &&
	    store(fd, &now, 8, first + offsetof(struct tlstall_process, exit_ticks)) &&
	    store(fd, &yes, 4, first + offsetof(struct tlstall_process, exited)))
		store(fd, &yes, 4, offsetof(struct tlstall_header, exited));
}

/*
 * Marks the trace of an earlier image as ended, which its exec had no chance to do. False: the
 * file is not a trace of this process.
 */
static bool end_image(const char *path, const struct self *self)
{
	LARGE static struct tlstall_header header;
	int fd = system_open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	struct statx st;
	bool own;

	if (fd < 0)
		return false;
	own = !system_statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) &&
	      S_ISREG(st.stx_mode) && st.stx_uid == system_geteuid() && st.stx_nlink == 1 &&
	      system_pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	      is_our_own(&header, self);
	if (own && !header.exited)
		write_end(fd, &header, st.stx_size);
	system_close(fd);
	return own;
}

/* ---- making a file ----------------------------------------------------------------- */

/* Some file systems cannot allocate: there, a byte is written to each block. */
static int reserve(int fd, off_t size)
{
	const off_t block = 4096;

	if (!system_fallocate(fd, 0, 0, size))
		return 0;
	if (errno != EOPNOTSUPP)
		return errno;
	for (off_t at = 0; at < size; at += block) {
		if (system_pwrite(fd, "", 1, at) != 1)
			return errno;
	}
	return 0;
}

/*
 * The file is sparse; the guard handles pages that cannot be written later. The first part
 * is allocated at once, so a full disk is noticed now. Growing past RLIMIT_FSIZE would
 * raise SIGXFSZ and kill the program.
 */
static int allocate(int fd, uint64_t size)
{
	struct rlimit limit;

	if (!system_getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < size)
		return EFBIG;
	return system_ftruncate(fd, (off_t)size) ? errno : reserve(fd, LAYOUT_FIRST);
}

/*
 * Unnamed (O_TMPFILE) where the file system supports it, so that nothing stays if the program is
 * killed. Naming it later needs /proc, which exists if the start time is known.
 */
static int open_new(struct file *file, const struct self *self)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

	named.pid = self->pid;
	named.start_time = self->start_time;
	file->named = false;
	file->fd = self->start_time ? system_open(settings.directory, flags | O_TMPFILE, 0600) : -1;
	if (file->fd >= 0)
		return 0;
	if (self->start_time && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return errno;
	file->named = true;
	name_file(path_of_making, self_tag(self, true), TLSTALL_MAKING_SUFFIX);
	file->fd = system_open(path_of_making, flags | O_CREAT | O_EXCL, 0600);
	return file->fd < 0 ? errno : 0;
}

static void give_up(struct file *file)
{
	if (file->named)
		system_unlink(path_of_making);
	system_close(file->fd);
}

/*
 * After mlockall(MCL_FUTURE) the kernel would lock the file in memory, all of it, at the expense of
 * the program's RLIMIT_MEMLOCK. It locks no page that cannot be accessed yet.
 */
static void *map_unlocked(int fd, uint64_t size)
{
	void *base = system_mmap(NULL, size, PROT_NONE, MAP_SHARED, fd, 0);
	int reason;

	if (base == MAP_FAILED)
		return base;
	system_munlock(base, size);
	if (!system_mprotect(base, size, PROT_READ | PROT_WRITE))
		return base;
	reason = errno;
	system_munmap(base, size);
	errno = reason;
	return MAP_FAILED;
}

static char *map(struct file *file, uint64_t size, int *reason)
{
	void *base = MAP_FAILED;

	*reason = allocate(file->fd, size);
	if (!*reason) {
		base = map_unlocked(file->fd, size);
		*reason = base == MAP_FAILED ? errno : 0;
	}
	if (base == MAP_FAILED) {
		give_up(file);
		return NULL;
	}
	/* otherwise the kernel reads 128 KiB of holes around each page that is touched */
	system_madvise(base, size, MADV_RANDOM);
	return base;
}

static int last_reason;

char *file_make(struct file *file, const struct self *self, uint64_t size)
{
	int reason = settings.directory[0] ? directory_prepare(&file->shared_directory) : EPERM;
	char *base = NULL;

	if (!reason)
		reason = open_new(file, self);
	if (!reason)
		base = map(file, size, &reason);
	last_reason = reason;
	if (!base)
		directory_note(self, reason);
	return base;
}

bool file_may_come(void)
{
	return last_reason == EMFILE || last_reason == ENFILE || last_reason == ENOMEM;
}

/* ---- naming it --------------------------------------------------------------------- */

/* Never replaces a file. */
static int move(const char *from, const char *to)
{
	struct statx st;

	if (!system_renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	return system_statx(AT_FDCWD, to, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) &&
			       !system_rename(from, to)
		       ? 0
		       : EEXIST;
}

static int link_from(const char *descriptors, int fd)
{
	char link[40];

	snprintf(link, sizeof(link), "/proc/%s/fd/%d", descriptors, fd);
	return system_link(link, path_of_trace()) ? errno : 0;
}

static int give_name(const struct file *file)
{
	int reason;

	if (file->named)
		return move(path_of_making, path_of_trace());
	reason = link_from("self", file->fd);
	/* the first thread of the process has ended */
	return reason == ENOENT ? link_from("thread-self", file->fd) : reason;
}

/* More traced images than any ordinary process execs. */
#define IMAGES 10000
/* After this many names that somebody else has taken, use another tag. */
#define STRANGERS 8

static int find_name(struct file *file, const struct self *self, struct tlstall_header *header)
{
	int reason = EEXIST, strangers = 0;

	header->tag = named.tag = self_tag(self, false);
	for (header->image = 0; header->image < IMAGES && reason == EEXIST; header->image++) {
		named.image = header->image;
		reason = give_name(file);
		if (!reason)
			return 0;
		if (reason != EEXIST || end_image(path_of_trace(), self))
			continue;
		if (++strangers == STRANGERS)
			break;
	}
	header->tag = named.tag = self_tag(self, true);
	named.image = header->image;
	return reason == EEXIST ? give_name(file) : reason;
}

bool file_publish(struct file *file, const struct self *self, struct tlstall_header *header)
{
	int reason = find_name(file, self, header);

	if (reason) {
		give_up(file);
		directory_note(self, reason);
		return false;
	}
	system_close(file->fd);
	room_take(1);
	directory_take_note_back();
	return true;
}

void file_name_in(struct tlstall_header *copy)
{
	copy->tag = named.tag;
	copy->image = named.image;
}

/* ---- when it was truncated ------------------------------------------------------- */

/* Its name in the directory; empty: there is none. A handler has no room for a path. */
static char mapped_name[96];

void file_is_mapped(void)
{
	const char *name = strrchr(path_of_trace(), '/') + 1;
	size_t length = strnlen(name, sizeof(mapped_name));

	mapped_name[0] = '\0';
	if (length < sizeof(mapped_name))
		memcpy(mapped_name, name, length + 1);
}

static int open_mapped(void)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int directory, fd;

	if (!mapped_name[0])
		return -1;
	directory = system_open(settings.directory, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (directory < 0)
		return -1;
	fd = directory_is_it(directory) ? (int)system_call(SYS_openat, directory, mapped_name, flags, 0) : -1;
	system_close(directory);
	return fd;
}

/* Growing past RLIMIT_FSIZE would kill the program. */
static bool grows(int fd, uint64_t size)
{
	struct rlimit limit;
	struct statx st;

	return !system_statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) && S_ISREG(st.stx_mode) &&
	       st.stx_uid == system_geteuid() && st.stx_nlink == 1 &&
	       !system_getrlimit(RLIMIT_FSIZE, &limit) && size <= limit.rlim_cur &&
	       !system_ftruncate(fd, (off_t)size);
}

int file_restore(uint64_t size)
{
	int fd = open_mapped();

	if (fd < 0 || grows(fd, size))
		return fd;
	system_close(fd);
	return -1;
}

/* ---- at the end --------------------------------------------------------------------- */

void file_remove(void)
{
	if (directory_is_at_its_place() && !system_unlink(path_of_trace()))
		room_give_back(1);
}

/* One unit was taken when the file was made. */
void file_stays(uint64_t bytes)
{
	uint64_t units = room_units(bytes);

	if (settings.limit && units > 1 && directory_is_at_its_place())
		room_take(units - 1);
}
