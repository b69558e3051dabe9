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
#include "settings.h"
#include "tlstall/environment.h"
#include "tlstall/trace.h"

static char path_of_trace[PATH_MAX + 64];

ssize_t file_read_small(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, buffer, size - 1);

	if (fd >= 0)
		close(fd);
	buffer[got > 0 ? got : 0] = '\0';
	return got;
}

static const char *errno_name(int error)
{
	switch (error) {
	case ENOSPC:
		return "ENOSPC";
	case EDQUOT:
		return "EDQUOT";
	case EFBIG:
		return "EFBIG";
	case EACCES:
		return "EACCES";
	case EPERM:
		return "EPERM";
	case EROFS:
		return "EROFS";
	case ENOENT:
		return "ENOENT";
	case ENOMEM:
		return "ENOMEM";
	case EMFILE:
		return "EMFILE";
	case ENFILE:
		return "ENFILE";
	case EEXIST:
		return "EEXIST";
	default:
		return "EIO";
	}
}

/* An empty file that says by its name why there is no trace. */
static void leave_note(uint64_t start_time, int error)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%d-%llu" TLSTALL_FAILED_INFIX "%s", settings.directory,
		 getpid(), (unsigned long long)start_time, errno_name(error));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		close(fd);
}

/* The default directory is ours alone, or we do not use it. */
static bool prepare_directory(void)
{
	struct statx st;

	if (!settings.directory[0])
		return false;
	if (!settings.directory_is_default)
		return true;
	mkdir(settings.directory, 0700);
	return !statx(AT_FDCWD, settings.directory, AT_SYMLINK_NOFOLLOW, STATX_MODE | STATX_UID,
		      &st) &&
	       S_ISDIR(st.stx_mode) && st.stx_uid == geteuid() && !(st.stx_mode & 022);
}

/* Growing past RLIMIT_FSIZE would raise SIGXFSZ and kill the program. */
static int allocate(int fd, uint64_t size)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < size)
		return EFBIG;
	return posix_fallocate(fd, 0, (off_t)size);
}

static char *map_file(const char *path, uint64_t size, int *error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	void *base = MAP_FAILED;

	if (fd < 0) {
		*error = errno;
		return NULL;
	}
	*error = allocate(fd, size);
	if (!*error) {
		base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		*error = base == MAP_FAILED ? errno : 0;
	}
	close(fd);
	if (base != MAP_FAILED) {
		/* else the kernel reads 128 KiB of nothing around each page that we touch */
		madvise(base, size, MADV_RANDOM);
		return base;
	}
	unlink(path);
	return NULL;
}

static bool store(int fd, const void *value, size_t size, uint64_t offset)
{
	return pwrite(fd, value, size, (off_t)offset) == (ssize_t)size;
}

/* The image before us ended with its exec, without a chance to say so. */
static void end_image(const char *path)
{
	const uint32_t yes = 1;
	const uint64_t now = clock_ticks();
	struct tlstall_header header;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	    header.magic == TLSTALL_MAGIC && !header.exited) {
		uint64_t first = header.section[TLSTALL_SECTION_PROCESSES].offset;

		if (store(fd, &now, 8, offsetof(struct tlstall_header, exit_ticks)) &&
		    store(fd, &now, 8, first + offsetof(struct tlstall_process, exit_ticks)) &&
		    store(fd, &yes, 4, first + offsetof(struct tlstall_process, exited)))
			store(fd, &yes, 4, offsetof(struct tlstall_header, exited));
	}
	close(fd);
}

static void name_trace(uint64_t start_time, uint32_t image)
{
	char suffix[16] = "";

	if (image)
		snprintf(suffix, sizeof(suffix), "-%u", image);
	snprintf(path_of_trace, sizeof(path_of_trace), "%s/%d-%llu%s" TLSTALL_TRACE_SUFFIX,
		 settings.directory, getpid(), (unsigned long long)start_time, suffix);
}

/* More than a process that keeps to itself will ever exec programs that shake hands. */
#define IMAGES 10000

static char *create(uint64_t start_time, uint64_t size, uint32_t *image, int *error)
{
	char *base;

	for (*image = 0; *image < IMAGES; ++*image) {
		name_trace(start_time, *image);
		base = map_file(path_of_trace, size, error);
		if (base || *error != EEXIST)
			return base;
		end_image(path_of_trace);
	}
	return NULL;
}

char *file_create(uint64_t start_time, uint64_t size, uint32_t *image)
{
	char *base;
	int error;

	if (!prepare_directory())
		return NULL;
	base = create(start_time, size, image, &error);
	if (!base)
		leave_note(start_time, error);
	return base;
}

void file_remove(void)
{
	unlink(path_of_trace);
}
