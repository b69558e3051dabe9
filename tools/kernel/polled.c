/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/polled.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tlstall/vocabulary.h"

#define POLLED 1024

bool polled_by_epoll(pid_t pid, int epoll, int fd)
{
	char path[48], line[256];
	bool found = false;
	int watched;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, epoll);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "tfd: %d", &watched) == 1 && watched == fd;
	if (file)
		fclose(file);
	return found;
}

static bool is_epoll(pid_t pid, int fd)
{
	char path[48], target[32];
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	size = readlink(path, target, sizeof(target) - 1);
	target[size > 0 ? size : 0] = '\0';
	return !strcmp(target, "anon_inode:[eventpoll]");
}

/* Another epoll descriptor watches it, and `epoll` (-1: none) does not watch that one in turn. */
static bool is_watched_elsewhere(pid_t pid, int epoll, int fd)
{
	char path[32];
	struct dirent *entry;
	bool found = false;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	directory = opendir(path);
	while (directory && !found && (entry = readdir(directory))) {
		int other = atoi(entry->d_name);

		found = entry->d_name[0] != '.' && other != epoll && is_epoll(pid, other) &&
			polled_by_epoll(pid, other, fd) &&
			!(epoll >= 0 && polled_by_epoll(pid, epoll, other));
	}
	if (directory)
		closedir(directory);
	return found;
}

static bool leaves_out(pid_t pid, const struct thread_place *place, int fd)
{
	size_t count = place->arguments[1] < POLLED ? (size_t)place->arguments[1] : 0;
	struct pollfd list[POLLED];
	struct iovec here = {list, count * sizeof(list[0])};
	struct iovec there = {(void *)(uintptr_t)place->arguments[0], here.iov_len};

	if (!count || process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)here.iov_len)
		return false;
	for (size_t i = 0; i < count; i++) {
		/* a loop may poll the epoll descriptor that watches it */
		if (list[i].fd == fd || (list[i].fd >= 0 && is_epoll(pid, list[i].fd)))
			return false;
	}
	return true;
}

/*
 * It waits without `fd`: in a poll() of other descriptors, or on another epoll descriptor than the one
 * that watches `fd`. False, too, if no epoll descriptor does, or if that is not known.
 */
static bool polls_others(pid_t pid, pid_t tid, int fd)
{
	struct thread_place place;
	int epoll;

	thread_look(pid, tid, &place);
	if (fd < 0 || place.where != THREAD_SYSCALL)
		return false;
	thread_resumed(pid, tid, &place);
	switch (place.number) {
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		return leaves_out(pid, &place, fd);
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
		epoll = (int)place.arguments[0];
		return !polled_by_epoll(pid, epoll, fd) && is_watched_elsewhere(pid, epoll, fd);
	default:
		return false;
	}
}

/* What the last result asked to wait for is there. */
static bool is_ready(uint8_t want, const struct tlstall_socket *socket)
{
	if (!socket->ticks)
		return false;
	if (want == TLSTALL_ERROR_WANT_READ)
		return socket->inq && socket->inq != UINT32_MAX;
	return want == TLSTALL_ERROR_WANT_WRITE && !socket->outq;
}

void polled_look(pid_t pid, pid_t tid, int own_fd, uint8_t want, struct kernel_view *out)
{
	if (out->wait == TLSTALL_WAIT_POLL && is_ready(want, &out->socket) &&
	    polls_others(pid, tid, own_fd))
		out->wait = TLSTALL_WAIT_POLL_OTHERS;
}
