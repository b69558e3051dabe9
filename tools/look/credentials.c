/* SPDX-License-Identifier: Apache-2.0 */
#include "look/credentials.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void read_groups(const char *text, struct credentials *out)
{
	char *end;

	while (out->group_count < CREDENTIALS_GROUPS) {
		unsigned long group = strtoul(text, &end, 10);

		if (end == text)
			return;
		out->groups[out->group_count++] = (gid_t)group;
		text = end;
	}
}

static int read_line(const char *line, struct credentials *out)
{
	unsigned id;

	if (sscanf(line, "Uid: %*u %u", &id) == 1) {
		out->uid = id;
		return 1;
	}
	if (sscanf(line, "Gid: %*u %u", &id) == 1) {
		out->gid = id;
		return 2;
	}
	if (!strncmp(line, "Groups:", 7))
		read_groups(line + 7, out);
	return 0;
}

int credentials_read(pid_t pid, struct credentials *out)
{
	char path[32], *line = NULL;
	size_t room = 0;
	int found = 0, error;
	FILE *file;

	*out = (struct credentials){.uid = (uid_t)-1};
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (getline(&line, &room, file) > 0)
		found |= read_line(line, out);
	error = feof(file) ? EIO : errno;
	free(line);
	fclose(file);
	if (found == 3)
		return 0;
	errno = error;
	return -1;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};

	return (int)syscall(SYS_capset, &header, none);
}

static int is_so(const struct credentials *c)
{
	uid_t uids[3];
	gid_t gids[3];

	if (getresuid(&uids[0], &uids[1], &uids[2]) || getresgid(&gids[0], &gids[1], &gids[2]))
		return -1;
	for (int i = 0; i < 3; i++) {
		if (uids[i] != c->uid || gids[i] != c->gid)
			return -1;
	}
	return 0;
}

int credentials_become(const struct credentials *c)
{
	/* refused if we already are that user; but then there is nothing to drop */
	int groups = setgroups(c->group_count, c->groups);

	if (groups && (geteuid() == 0 || geteuid() != c->uid))
		return -1;
	if (setresgid(c->gid, c->gid, c->gid) || setresuid(c->uid, c->uid, c->uid) ||
	    drop_capabilities())
		return -1;
	return is_so(c);
}
