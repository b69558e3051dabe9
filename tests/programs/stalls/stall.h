/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that do one thing wrong. Each is given the port of its peer on
 * 127.0.0.1, and hangs until it is killed unless it says otherwise.
 */
#ifndef TESTS_STALLS_STALL_H
#define TESTS_STALLS_STALL_H

#include <poll.h>
#include <time.h>

#include "programs/common.h"

/* Connected to 127.0.0.1. */
int connect_to(const char *port);
/* A client on a new connection to that port, which trusts anything. */
SSL *client_of(const char *port, bool nonblocking);
/* Such a non-blocking one after its first call, which the peer has not answered yet. */
SSL *unanswered(const char *port);
/* True when it came within that time; -1: no limit. */
bool await(int fd, short events, int milliseconds);
/* Reads and writes when OpenSSL asks for it, as a good program does. */
bool handshake(SSL *ssl);
void sleep_ms(long milliseconds);
void hang(void) __attribute__((noreturn));

#endif
