/* SPDX-License-Identifier: Apache-2.0 */
/* Where the agent can be reached: a TCP address or a Unix socket. */
#ifndef TOOLS_SERVE_LISTEN_H
#define TOOLS_SERVE_LISTEN_H

#include <stdbool.h>

#define LISTEN_DEFAULT "127.0.0.1:9469"

struct listening {
	int fd;
	bool local;	/* no other host can reach it */
	char name[160]; /* "http://127.0.0.1:9469/", "unix:/run/tlstall.sock" */
	char path[108]; /* of a Unix socket, to be removed; "": none */
};

/*
 * "127.0.0.1:9469", "[::1]:9469", "unix:PATH". A name is no address. `any`: addresses that other
 * hosts can reach are allowed. 0, or the exit status after the reason was explained.
 */
int listen_open(const char *text, bool any, struct listening *out);
void listen_close(struct listening *listening);

#endif
