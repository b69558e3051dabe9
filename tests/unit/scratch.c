/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for each test. See scratch.h. */
#include "scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int scratch_set_up(void **state)
{
	char *directory = strdup("/tmp/tlstall-test-XXXXXX");

	*state = directory;
	return directory && mkdtemp(directory) ? 0 : -1;
}

int scratch_tear_down(void **state)
{
	char *directory = *state, command[128];
	int status;

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	status = system(command);
	free(directory);
	return status;
}

const char *scratch_path(const char *directory, const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *to = path[next++ % 4];

	assert_true((size_t)snprintf(to, sizeof(path[0]), "%s/%s", directory, name) <
		    sizeof(path[0]));
	return to;
}

const char *scratch_save(const char *directory, const char *name, const void *bytes, size_t size)
{
	const char *path = scratch_path(directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	return path;
}
