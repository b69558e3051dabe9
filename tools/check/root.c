/* SPDX-License-Identifier: Apache-2.0 */
/* Opens files below a root. See root.h. */
#include <asm/unistd.h> /* sys/syscall.h lists only what its glibc was built with */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check/root.h"

#define FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int not_regular(const struct stat *status)
{
	if (S_ISREG(status->st_mode))
		return 0;
	return S_ISDIR(status->st_mode) ? -EISDIR : -EINVAL;
}

/*
 * Absolute links in a container lead to its own root: only the kernel resolves these without races.
 */
static int open_below(int root, const char *path)
{
	struct open_how how = {.flags = FLAGS, .resolve = RESOLVE_IN_ROOT};

	return (int)syscall(__NR_openat2, root, path, &how, sizeof(how));
}

int root_open(const struct root *root, const char *path)
{
	struct stat status;
	int fd, ret;

	/* opening a device may have an effect, so look first */
	if (root->fd < 0 && stat(path, &status) == 0 && (ret = not_regular(&status)) != 0)
		return ret;
	fd = root->fd < 0 ? open(path, FLAGS) : open_below(root->fd, path);
	if (fd < 0)
		return -errno;
	ret = fstat(fd, &status) == 0 ? not_regular(&status) : -errno;
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}
