/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/kernel.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/polled.h"
#include "kernel/socket.h"
#include "kernel/thread.h"
#include "trace/host.h"

/*
 * A thread that computes is found running each time; one that was just woken is not, unless it has to
 * wait for a CPU. Where the program moves the bytes, it matters between ops, too.
 */
#define LOOKS 5
#define APART_NS 1000000

void kernel_look(pid_t pid, const struct tlstall_handshake *h, struct kernel_view *out)
{
	const struct timespec apart = {.tv_nsec = APART_NS};
	pid_t tid = host_thread(pid, (pid_t)h->tid);
	int fd;

	*out = (struct kernel_view){.wait = TLSTALL_WAIT_UNKNOWN, .fd = -1, .own_fd = -1};
	fd = socket_look(pid, h, out);
	if (fd < 0)
		fd = h->read.fd;
	thread_wait(pid, tid, fd, out);
	if (!h->enter)
		polled_look(pid, tid, fd, h->last_error, out);
	thread_account(pid, tid, out);
	for (int i = 1;
	     i < LOOKS && out->wait == TLSTALL_WAIT_RUNNING && (h->enter || h->read.fd < 0); i++) {
		nanosleep(&apart, NULL);
		thread_wait(pid, tid, fd, out);
	}
}

/*
 * It has hardly run since the first look, which found it waiting. One that gets no CPU was found
 * running then, too.
 */
static bool was_just_woken(const struct kernel_view *first, const struct kernel_view *later)
{
	return later->wait == TLSTALL_WAIT_RUNNING && first->wait != TLSTALL_WAIT_RUNNING &&
	       first->wait != TLSTALL_WAIT_UNKNOWN && later->burnt.ns < later->burnt.over_ns / 10 &&
	       first->socket.bytes_received == later->socket.bytes_received;
}

/* What it waited for until now tells more than that it no longer does. */
static void keep_wait(const struct kernel_view *first, struct kernel_view *later)
{
	later->wait = first->wait;
	later->fd = first->fd;
	later->private_lock = first->private_lock;
	memcpy(later->syscall, first->syscall, sizeof(later->syscall));
	memcpy(later->stack, first->stack, sizeof(later->stack));
}

void kernel_add_burnt(const struct kernel_view *first, struct kernel_view *later)
{
	const struct cpu_share *a = &first->used, *b = &later->used;

	struct cpu_share used = {b->ns - a->ns, b->ran_ns - a->ran_ns, b->system_ns - a->system_ns,
				 b->over_ns - a->over_ns};

	if (!a->over_ns || b->over_ns <= a->over_ns || b->ns < a->ns || b->ran_ns < a->ran_ns ||
	    b->system_ns < a->system_ns)
		return;
	later->burnt = used;
	if (was_just_woken(first, later))
		keep_wait(first, later);
}

void kernel_keep(const struct kernel_view *view, const struct tlstall_handshake *h, uint64_t seen,
		 struct tlstall_look *out)
{
	const struct tlstall_handshake *then = &view->then;

	*out = (struct tlstall_look){
		.handshake = h->number,
		.seen = seen,
		.socket = view->socket,
		.peer = view->peer,
		.local_port = view->local.port,
		.process = h->process,
		.fd = view->fd,
		.wait = (uint8_t)view->wait,
		.moved = view->past,
		.private_lock = view->private_lock,
		.fitting = (uint8_t)(view->fitting < UINT8_MAX ? view->fitting : UINT8_MAX),
		.guessed = view->guessed,
		.idle = (uint8_t)(view->idle < UINT8_MAX ? view->idle : UINT8_MAX),
		.descriptor = (uint8_t)view->descriptor,
		.unread = (uint8_t)(view->unread < UINT8_MAX ? view->unread : UINT8_MAX),
		.at = view->at,
		.threads = view->threads,
		.enter = then->enter,
		.leave = then->leave,
		.progress = then->progress,
		.bytes_in = then->bytes_in,
		.bytes_out = then->bytes_out,
		.calls = then->calls,
		.pending_in = then->pending_in,
		.pending_out = then->pending_out,
		.last_error = then->last_error,
		.state = then->state,
		.tcp = view->tcp,
		.cpu_ns = view->burnt.ns,
		.cpu_ran_ns = view->burnt.ran_ns,
		.cpu_system_ns = view->burnt.system_ns,
		.cpu_over_ns = view->burnt.over_ns,
	};
	memcpy(out->syscall, view->syscall, sizeof(out->syscall));
	memcpy(out->stack, view->stack, sizeof(out->stack));
}

/* The handshake as recorded at its end, except for what the look saw of it. */
static void recall_then(const struct tlstall_look *look, const struct tlstall_handshake *h,
			struct tlstall_handshake *then)
{
	*then = *h;
	then->enter = look->enter;
	then->leave = look->leave;
	then->progress = look->progress;
	then->bytes_in = look->bytes_in;
	then->bytes_out = look->bytes_out;
	then->calls = look->calls;
	then->retries = look->calls ? look->calls - 1 : 0;
	then->pending_in = look->pending_in;
	then->pending_out = look->pending_out;
	then->last_error = look->last_error;
	then->state = look->state;
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
		/* the address itself is not kept: without a family, nobody shows it */
		.local = {.port = look.local_port},
		.wait = look.wait <= TLSTALL_WAIT_POLL_OTHERS ? look.wait : TLSTALL_WAIT_UNKNOWN,
		.fd = look.fd,
		.own_fd = -1,
		.private_lock = look.private_lock,
		.fitting = look.fitting,
		.guessed = look.guessed,
		.idle = look.idle,
		.descriptor = look.descriptor,
		.unread = look.unread,
		.threads = look.threads,
		.tcp = look.tcp,
		.burnt = {look.cpu_ns, look.cpu_ran_ns, look.cpu_system_ns, look.cpu_over_ns},
		.at = look.at,
	};
	recall_then(&look, h, &out->then);
	memcpy(out->stack, look.stack, sizeof(out->stack));
	memcpy(out->syscall, look.syscall, sizeof(out->syscall));
	return true;
}

static bool grow(struct looks *looks)
{
	size_t room = looks->count ? 2 * (size_t)looks->count : 1;
	struct tlstall_look *items;

	/* grows at each power of two */
	if (looks->count & (looks->count - 1))
		return true;
	items = reallocarray(looks->items, room, sizeof(*items));
	if (items)
		looks->items = items;
	return items;
}

void looks_add(struct looks *looks, struct trace *trace, const struct tlstall_handshake *h,
	       const struct kernel_view *view)
{
	if (looks->count < UINT32_MAX && grow(looks))
		kernel_keep(view, h, trace_horizon(trace, h->process),
			    &looks->items[looks->count++]);
}

void looks_keep(struct looks *looks, const char *path)
{
	/* if that fails, the trace is still what the program wrote */
	if (path && looks->count)
		(void)trace_keep_looks(path, looks->items, looks->count);
	free(looks->items);
	*looks = (struct looks){0};
}
