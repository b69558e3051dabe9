/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells about a live process from outside, without root and
 * without stopping it: its sockets by sock_diag, its threads by /proc.
 */
#ifndef TOOLS_KERNEL_KERNEL_H
#define TOOLS_KERNEL_KERNEL_H

#include <sys/types.h>

#include "diagnosis/diagnosis.h"
#include "tlstall/trace.h"
#include "trace/reader.h"

/* What can be had only while it hangs. */
struct kernel_view {
	bool past; /* the handshake has moved since: only what the way is like still holds */
	struct tlstall_socket socket; /* `ticks` 0: not known; 1: known */
	struct tlstall_address peer;  /* of that socket */
	enum wait_kind wait;
	char syscall[24]; /* name, "" when not in one */
	int fd;		  /* of that call, -1: none */
};

/*
 * The socket of the handshake and the thread that is inside its op (or ran the
 * last one). Takes well under a millisecond, five where an op computes; what may
 * not be asked is "not known".
 */
void kernel_look(pid_t pid, const struct tlstall_handshake *h, struct kernel_view *out);

/* The form in which a look is kept in a trace; `seen`: when its process was alive last, ticks. */
void kernel_keep(const struct kernel_view *view, const struct tlstall_handshake *h, uint64_t seen,
		 struct tlstall_look *out);
/* The look that was kept of that handshake; false: none. */
bool kernel_recall(struct trace *trace, const struct tlstall_handshake *h, struct kernel_view *out);

/* Puts it where diagnose() finds it; `view` must outlive the facts. */
void kernel_add_facts(const struct kernel_view *view, struct facts *facts);

/*
 * Whether we may see what that process's threads wait for and their stacks:
 * 0, or -1 and a sentence without a full stop that names what is missing.
 */
int kernel_access(pid_t pid, char *why, size_t size);

#endif
