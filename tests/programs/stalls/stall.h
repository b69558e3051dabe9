/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that do one thing wrong. Each gets the port of its peer on 127.0.0.1, and hangs until
 * it is killed unless it says otherwise.
 */
#ifndef TESTS_STALLS_STALL_H
#define TESTS_STALLS_STALL_H

#include <poll.h>
#include <time.h>

#include "programs/common.h"

/* A socket connected to 127.0.0.1. */
int connect_to(const char *port);
/* A client on a new connection to that port; it trusts any certificate. */
SSL *client_of(const char *port, bool nonblocking);
/* The same, non-blocking, after its first call, which the peer has not answered yet. */
SSL *unanswered(const char *port);
/* True if the event came within that time; -1: no limit. */
bool await(int fd, short events, int milliseconds);
/* Waits for what OpenSSL asks for, as a correct program does. */
bool handshake(SSL *ssl);
void sleep_ms(long milliseconds);
void hang(void) __attribute__((noreturn));

#endif
