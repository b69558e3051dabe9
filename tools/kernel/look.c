/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/kernel.h"

#include "kernel/socket.h"
#include "kernel/thread.h"

void kernel_look(pid_t pid, const struct tlstall_handshake *h, struct kernel_view *out)
{
	int fd;

	*out = (struct kernel_view){.wait = WAIT_UNKNOWN, .fd = -1};
	fd = socket_look(pid, h, out);
	thread_wait(pid, (pid_t)h->tid, fd >= 0 ? fd : h->read.fd, out);
}

void kernel_add_facts(const struct kernel_view *view, struct facts *facts)
{
	if (view->past) {
		facts->seen_rtt_ns = view->socket.ticks ? view->socket.rtt_us * 1000ull : 0;
		return;
	}
	facts->live = view->socket;
	facts->wait = view->wait;
	facts->wait_syscall = view->syscall[0] ? view->syscall : NULL;
	facts->wait_fd = view->fd;
	facts_settle(facts);
}
