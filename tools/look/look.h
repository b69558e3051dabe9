/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshakes of a process that runs without the shim: found in its memory, queried with its own
 * libssl, matched with its threads and sockets. The process is not stopped, and nothing is put into
 * it. What only the shim can know (calls, results, when a handshake began) is not known.
 */
#ifndef TOOLS_LOOK_LOOK_H
#define TOOLS_LOOK_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/kernel.h"
#include "look/library.h"
#include "look/sockets.h"
#include "look/ssl_object.h"
#include "look/threads.h"
#include "trace/reader.h"

/* One SSL object, and the socket and thread that it was matched with. */
struct look_object {
	struct ssl_object ssl;
	struct joined_socket joined;
	int thread;	      /* index, -1: not known */
	bool inside;	      /* that thread is in a call on it */
	bool moved;	      /* between two looks */
	uint64_t standing_ns; /* no progress for at least this long; 0: not known */
	uint64_t since_ns;    /* moved: time since the earlier look; otherwise 0 */
	struct tlstall_socket earlier; /* moved: its socket then; `ticks` 0: not known */
};

struct look {
	pid_t pid;
	char comm[16];
	uint64_t start_time; /* field 22 of /proc/PID/stat */
	int memory;
	struct regions regions;
	struct libraries libraries;
	struct process_sockets sockets;
	struct process_threads threads;
	struct look_object *objects;
	unsigned count;
	unsigned in_handshake;
	unsigned unreadable; /* objects that could not be asked, and why the first of them */
	struct trouble trouble;
	uint64_t searched, skipped; /* bytes of memory */
	uint64_t began_ns, taken_ns; /* CLOCK_MONOTONIC: first asked; when the sockets were */
	uint64_t compared_ns;	     /* with a look so long before; 0: with none */
};

/*
 * 0, or -1; `why` then says what is missing, in a sentence without a period. A process without
 * libssl is not an error: `libraries.count` is 0.
 */
int look_take(pid_t pid, struct look *out, char *why, size_t size);
void look_free(struct look *look);

/* Begun and not finished. */
bool look_is_handshake(const struct look_object *object);

/* What `later`, of the same process, shows about objects that were already there. */
void look_compare(const struct look *before, struct look *later);

/* Whether it is not known how long some handshake has made no progress: a second look helps. */
bool look_is_undated(const struct look *look);

/*
 * The handshakes as a trace, for all that reads one: number N is the N-th object that is
 * in a handshake. NULL: no memory.
 */
struct trace *look_trace(const struct look *look);

/* What the kernel says of the handshake with that number. */
void look_view(const struct look *look, uint64_t number, struct kernel_view *out);
/* The stack of the call that the handshake is in; NULL: it is in none, as far as known. */
const struct unwound *look_stack(const struct look *look, uint64_t number);

#endif
