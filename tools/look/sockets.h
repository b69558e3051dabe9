/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a process, and which SSL object each carries. */
#ifndef TOOLS_LOOK_SOCKETS_H
#define TOOLS_LOOK_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "look/ssl_object.h"
#include "tlstall/look.h"

struct process_socket {
	uint64_t inode;
	int fd;
	bool listens, accepted; /* ... from one that listens */
	bool blocking;
	unsigned objects; /* that it carries */
	struct tlstall_address local, peer;
	struct tlstall_socket now; /* `ticks` 0: the kernel did not tell */
	struct tlstall_tcp tcp;
};

struct process_sockets {
	struct process_socket *list;
	unsigned count;
	uint32_t waiting; /* connections that nobody has accepted yet */
};

/* -1 with errno. */
int sockets_read(pid_t pid, struct process_sockets *out);
void sockets_free(struct process_sockets *sockets);

/* The socket of an object. */
struct joined_socket {
	int index;	  /* -1: not known, as where several objects and sockets are alike */
	bool guessed;	  /* it has carried other bytes, too, and may be another's */
	uint32_t fitting; /* if not known: how many fit */
	uint32_t idle;	  /* ... and have taken and brought exactly its bytes; 0 if any has bytes
			     unread */
	uint32_t unread;  /* ... and have had bytes unread for TLSTALL_UNREAD_MS */
};

/*
 * Which one each object uses, by its descriptor; behind a BIO that has none, by the
 * bytes that have gone through both.
 */
void sockets_join(const struct process_sockets *sockets, const struct ssl_object *objects,
		  unsigned count, struct joined_socket *out);

#endif
