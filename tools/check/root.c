/* SPDX-License-Identifier: Apache-2.0 */
/* Opens files below a root. See root.h. */
#include <asm/unistd.h> /* sys/syscall.h lists only what its glibc was built with */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check/root.h"
#include "regular.h"

/*
 * Absolute links in a container lead to its own root: only the kernel resolves these without races.
 */
static int open_below(int root, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

	return (int)syscall(__NR_openat2, root, path, &how, sizeof(how));
}

int root_open(const struct root *root, const char *path)
{
	int fd = root->fd < 0 ? regular_open(path) : regular_reopen(open_below(root->fd, path));

	return fd < 0 ? -errno : fd;
}
