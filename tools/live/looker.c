/* SPDX-License-Identifier: Apache-2.0 */
#include "live/looker.h"

#include <stdio.h>
#include <string.h>

#include "diagnosis/stack.h"
#include "kernel/unwind.h"
#include "live/stack.h"

/* Some waits tell by themselves what they are for, without a stack. */
static bool needs_stack(const struct tlstall_handshake *h, const struct kernel_view *view)
{
	switch (view->wait) {
	case TLSTALL_WAIT_OTHER_FD:
	case TLSTALL_WAIT_POLL:
	case TLSTALL_WAIT_FUTEX:
	case TLSTALL_WAIT_SLEEP:
	case TLSTALL_WAIT_UNKNOWN:
		return h->enter;
	default:
		return false;
	}
}

static struct symbols *symbols_of(struct looker *looker, pid_t pid)
{
	if (looker->pid != pid || !looker->symbols) {
		looker_free(looker);
		looker->symbols = symbols_of_process(pid);
		looker->pid = pid;
	}
	return looker->symbols;
}

static void name_stack(struct looker *looker, pid_t pid, pid_t tid, struct kernel_view *view)
{
	struct unwinder *unwinder = unwind_open(pid);
	struct symbols *symbols;
	struct unwound unwound;

	if (!unwinder)
		return;
	if (!unwind_thread(unwinder, tid, false, &unwound) && unwound.count &&
	    (symbols = symbols_of(looker, pid)))
		stack_join(&unwound, symbols, view->stack, sizeof(view->stack));
	unwind_close(unwinder);
}

/*
 * Waiting in its BIO's read or write function means waiting on the handshake's own descriptor,
 * which OpenSSL does not know.
 */
static void take_own_descriptor(pid_t pid, const struct tlstall_handshake *h,
				struct kernel_view *view)
{
	struct tlstall_handshake known = *h;
	struct kernel_view again;

	if (view->fd >= 0) {
		known.read.fd = view->fd;
		known.read.bio_class = TLSTALL_BIO_SOCKET;
		kernel_look(pid, &known, &again);
		memcpy(again.stack, view->stack, sizeof(again.stack));
		if (again.fd == view->fd)
			*view = again;
	}
	view->wait = TLSTALL_WAIT_ON_SOCKET;
	view->own_fd = view->fd;
}

void look_at(struct looker *looker, pid_t pid, const struct tlstall_handshake *h, uint64_t at,
	     struct kernel_view *out)
{
	kernel_look(pid, h, out);
	if (needs_stack(h, out))
		name_stack(looker, pid, (pid_t)h->tid, out);
	if (h->read.fd < 0 && stack_says(out->stack) == STACK_IN_BIO)
		take_own_descriptor(pid, h, out);
	out->at = at;
	out->then = *h;
}

void looker_free(struct looker *looker)
{
	symbols_free(looker->symbols);
	*looker = (struct looker){0};
}
