/* SPDX-License-Identifier: Apache-2.0 */
/* A part of trace.h: what the tool that watched the program adds to its trace. */
#ifndef TLSTALL_LOOK_H
#define TLSTALL_LOOK_H

#include "tlstall/trace.h"

/* More of TCP_INFO, as only a look from outside has it. */
struct tlstall_tcp {
	uint32_t notsent;      /* tcpi_notsent_bytes */
	uint32_t out_of_order; /* tcpi_rcv_ooopack: segments; 0: none of them still waits */
	uint32_t window;       /* tcpi_snd_wnd: bytes */
	uint8_t known;	       /* 1: the other fields are known */
	uint8_t probes;	       /* tcpi_probes: unanswered probes of a zero window or keepalive */
	uint8_t reserved[2];
};

/*
 * What the kernel said about a slow handshake when a tool last asked. Written not
 * by the shim but by the tool that keeps the trace, at the end of the file.
 */
struct tlstall_look {
	uint64_t handshake;	      /* its number */
	uint64_t seen;		      /* when its process was last seen alive, ticks */
	struct tlstall_socket socket; /* `ticks` 1: known */
	struct tlstall_address peer;  /* of that socket */
	uint32_t process;	      /* index in PROCESSES */
	int32_t fd;		      /* of the system call, -1: none */
	uint8_t wait;		      /* enum tlstall_wait */
	uint8_t moved;		      /* 1: the handshake moved after that look */
	uint8_t private_lock;	      /* 1: it waits for a process-private lock (1.3) */
	/*
	 * If its descriptor is unknown: connections of the process with matching byte counts,
	 * at most 255 (1.3).
	 */
	uint8_t fitting;
	char syscall[24]; /* that the thread was in; "": none or unknown */
	uint64_t at;	  /* when the look was, ticks; 0: unknown (1.3) */
	uint32_t threads; /* of that process; 0: unknown (1.3) */
	uint8_t guessed;  /* 1: `socket` is the only match, and may be another's (1.3) */
	/*
	 * Of `fitting`: idle, having taken and brought exactly its bytes; 0 if any has bytes
	 * unread, or unknown.
	 */
	uint8_t idle;
	uint8_t descriptor; /* enum tlstall_descriptor */
	uint8_t unread;	    /* of `fitting`: those with bytes unread for TLSTALL_UNREAD_MS */

	/* Since 1.3 (older entries end here): the handshake's fields at that moment. */
	uint64_t enter, leave, progress, bytes_in, bytes_out;
	uint32_t calls, pending_in, pending_out;
	uint8_t last_error, state;
	uint16_t local_port; /* of that socket; 0: unknown */
	struct tlstall_tcp tcp;
	/*
	 * How long the thread ran or waited for a CPU, ran, and ran in system calls, within the
	 * last cpu_over_ns, in which nothing moved.
	 */
	uint64_t cpu_ns, cpu_ran_ns, cpu_system_ns, cpu_over_ns;
	char stack[256]; /* functions up to OpenSSL's, innermost first, separated by " < " */
};

/* What the thread in the op, or that ran the last one, waits for. */
enum tlstall_wait {
	TLSTALL_WAIT_UNKNOWN,
	TLSTALL_WAIT_NOT_LOOKED,
	TLSTALL_WAIT_ON_SOCKET, /* a system call on the SSL's own descriptor */
	TLSTALL_WAIT_OTHER_FD,	/* a system call on another descriptor */
	TLSTALL_WAIT_POLL,	/* poll, select, epoll */
	TLSTALL_WAIT_FUTEX,
	TLSTALL_WAIT_RANDOM, /* getrandom, /dev/random */
	TLSTALL_WAIT_SLEEP,
	TLSTALL_WAIT_RUNNING, /* on CPU, or waiting for it */
	TLSTALL_WAIT_STOPPED, /* SIGSTOP, debugger */
	TLSTALL_WAIT_GONE,    /* the thread or process has ended */
	TLSTALL_WAIT_ENDED,   /* the thread has, its process lives (1.3) */
	/* poll or epoll of others, while the SSL's descriptor was ready for what was asked (1.5) */
	TLSTALL_WAIT_POLL_OTHERS,
};

/* Bytes that are unread for so long are not about to be read. */
#define TLSTALL_UNREAD_MS 300

/* What the number of the handshake's descriptor stands for. */
enum tlstall_descriptor {
	TLSTALL_DESCRIPTOR_KEPT, /* what it did, as far as known */
	TLSTALL_DESCRIPTOR_CLOSED,
	TLSTALL_DESCRIPTOR_REPLACED, /* another file, or another socket */
};

TLSTALL_ASSERT(sizeof(struct tlstall_tcp) == 16);
TLSTALL_ASSERT(sizeof(struct tlstall_look) == 520);
TLSTALL_AT(tlstall_look, peer, 88);
TLSTALL_AT(tlstall_look, wait, 116);
TLSTALL_AT(tlstall_look, fitting, 119);
TLSTALL_AT(tlstall_look, syscall, 120);
TLSTALL_AT(tlstall_look, at, 144);
TLSTALL_AT(tlstall_look, guessed, 156);
TLSTALL_AT(tlstall_look, idle, 157);
TLSTALL_AT(tlstall_look, descriptor, 158);
TLSTALL_AT(tlstall_look, unread, 159);
TLSTALL_AT(tlstall_look, enter, 160);
TLSTALL_AT(tlstall_look, tcp, 216);
TLSTALL_AT(tlstall_look, stack, 264);

#endif
