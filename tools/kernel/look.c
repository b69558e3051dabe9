/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/kernel.h"

#include <string.h>
#include <time.h>

#include "kernel/socket.h"
#include "kernel/thread.h"

/* Whoever computes is caught at it each time, whoever was just woken is not. */
#define LOOKS 5
#define APART_NS 1000000

void kernel_look(pid_t pid, const struct tlstall_handshake *h, struct kernel_view *out)
{
	const struct timespec apart = {.tv_nsec = APART_NS};
	int fd;

	*out = (struct kernel_view){.wait = WAIT_UNKNOWN, .fd = -1};
	fd = socket_look(pid, h, out);
	if (fd < 0)
		fd = h->read.fd;
	thread_wait(pid, (pid_t)h->tid, fd, out);
	for (int i = 1; i < LOOKS && h->enter && out->wait == WAIT_RUNNING; i++) {
		nanosleep(&apart, NULL);
		thread_wait(pid, (pid_t)h->tid, fd, out);
	}
}

void kernel_keep(const struct kernel_view *view, const struct tlstall_handshake *h, uint64_t seen,
		 struct tlstall_look *out)
{
	*out = (struct tlstall_look){
		.handshake = h->number,
		.seen = seen,
		.socket = view->socket,
		.peer = view->peer,
		.process = h->process,
		.fd = view->fd,
		.wait = (uint8_t)view->wait,
		.moved = view->past,
	};
	memcpy(out->syscall, view->syscall, sizeof(out->syscall));
}

bool kernel_recall(struct trace *trace, const struct tlstall_handshake *h, struct kernel_view *out)
{
	struct tlstall_look look;

	if (trace_look(trace, h, &look))
		return false;
	*out = (struct kernel_view){
		.past = look.moved,
		.socket = look.socket,
		.peer = look.peer,
		.wait = look.wait <= WAIT_GONE ? look.wait : WAIT_UNKNOWN,
		.fd = look.fd,
	};
	memcpy(out->syscall, look.syscall, sizeof(out->syscall));
	return true;
}

void kernel_add_facts(const struct kernel_view *view, struct facts *facts)
{
	if (view->past) {
		facts->seen = view->socket;
		facts->seen_wait = view->wait;
		return;
	}
	facts->live = view->socket;
	facts->wait = view->wait;
	facts->wait_syscall = view->syscall[0] ? view->syscall : NULL;
	facts->wait_fd = view->fd;
	facts_settle(facts);
}
