/* SPDX-License-Identifier: Apache-2.0 */
#include "regular.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(int place)
{
	struct stat st;

	if (fstat(place, &st))
		return -1;
	errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	return S_ISREG(st.st_mode) ? 0 : -1;
}

int regular_reopen(int place)
{
	char path[40];
	int fd = -1, saved;

	if (place < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
	if (!check(place))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	saved = errno;
	close(place);
	errno = saved;
	return fd;
}

int regular_open(const char *path)
{
	return regular_reopen(open(path, O_PATH | O_CLOEXEC));
}
