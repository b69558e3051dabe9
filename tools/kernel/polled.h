/* SPDX-License-Identifier: Apache-2.0 */
/* For which descriptors a thread of another process waits in poll() or epoll_wait(). */
#ifndef TOOLS_KERNEL_POLLED_H
#define TOOLS_KERNEL_POLLED_H

#include "kernel/thread.h"

/* The kernel lists what an epoll descriptor watches. */
bool polled_by_epoll(pid_t pid, int epoll, int fd);

/*
 * After thread_wait(), for a thread that is in no op, and once the socket is known: whether the thread polls
 * other descriptors only, while its socket is ready for what the last op asked for (`want`).
 */
void polled_look(pid_t pid, pid_t tid, int own_fd, uint8_t want, struct kernel_view *out);

#endif
