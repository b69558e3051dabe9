/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says about a live process from outside, without root and without stopping it: its
 * sockets by sock_diag, its threads by /proc.
 */
#ifndef TOOLS_KERNEL_KERNEL_H
#define TOOLS_KERNEL_KERNEL_H

#include <stdbool.h>
#include <sys/types.h>

#include "tlstall/look.h"
#include "trace/reader.h"

/* A process or thread id in digits; 0: it is none. */
pid_t kernel_pid(const char *text);

#define KERNEL_STACK 256

/* For how long a thread ran, or waited for a CPU to run on, and the part of it in system calls. */
struct cpu_share {
	uint64_t ns, ran_ns, system_ns; /* `ran_ns`: on the CPU alone */
	uint64_t over_ns;		/* of so much time; 0: not known */
};

/* What can be had only while it hangs. */
struct kernel_view {
	bool past; /* the handshake has made progress since: this was true at that time */
	struct tlstall_socket socket; /* `ticks` 0: not known; 1: known */
	struct tlstall_tcp tcp;	      /* of that socket too */
	struct tlstall_address peer, local; /* of that socket */
	/* where the descriptor is not known: how many connections fit; the one that does may be
	 * another's */
	uint32_t fitting;
	/* ... and how many of those took and brought exactly its bytes; 0 if any has bytes unread */
	uint32_t idle;
	uint32_t unread; /* ... and how many have had bytes unread for TLSTALL_UNREAD_MS */
	bool guessed;
	enum tlstall_descriptor descriptor;
	enum tlstall_wait wait;
	char syscall[24];	  /* name, "" when not in one */
	int fd;			  /* of that call, -1: none */
	int own_fd;		  /* the handshake's, as far as it was known then; -1: not known */
	uint32_t accept_waiting;  /* connections that the process has not accepted yet, if known */
	bool private_lock;	  /* it waits for a lock that only its own process can release */
	uint32_t threads;	  /* of the process, 0: not known */
	struct cpu_share used;	  /* since the thread began; `over_ns`: CLOCK_MONOTONIC then */
	struct cpu_share burnt;	  /* as far as the same stall was looked at */
	char stack[KERNEL_STACK]; /* see live/looker.h; "": not looked */
	uint64_t at;		  /* when, ticks of the trace's clock; 0: not known */
	struct tlstall_handshake then; /* its state at that moment, if `at` is known */
};

/*
 * The socket of the handshake and the thread that is inside its op (or ran the last one). Takes
 * well under 1 ms, or 5 ms if it computes; what may not be asked is "not known".
 */
void kernel_look(pid_t pid, const struct tlstall_handshake *h, struct kernel_view *out);
/*
 * A later look found it in the same place: adds what the thread used meanwhile. If it has only just
 * been woken, what it had waited for remains.
 */
void kernel_add_burnt(const struct kernel_view *first, struct kernel_view *later);

/* The form in which a look is kept in a trace; `seen`: when its process was alive last, ticks. */
void kernel_keep(const struct kernel_view *view, const struct tlstall_handshake *h, uint64_t seen,
		 struct tlstall_look *out);
/* The stored look at that handshake; false: none. */
bool kernel_recall(struct trace *trace, const struct tlstall_handshake *h, struct kernel_view *out);

/* The looks at a trace's handshakes, until they are stored in the trace. */
struct looks {
	struct tlstall_look *items;
	uint32_t count;
};
void looks_add(struct looks *looks, struct trace *trace, const struct tlstall_handshake *h,
	       const struct kernel_view *view);
/* Stores them in the trace (`path` NULL: nowhere), and frees them. */
void looks_keep(struct looks *looks, const char *path);

/*
 * Whether the tool may see what that process's threads wait for and their stacks: 0, or -1 and a
 * sentence without a full stop that says what is missing.
 */
int kernel_access(pid_t pid, char *why, size_t size);

#endif
