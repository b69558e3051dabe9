/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the test programs share: contexts with a certificate made at run time,
 * and both ends of a connection in one process. Every helper ends the program
 * with a message when something outside the test's interest fails.
 *
 * Programs print plain results only: no addresses, times or ids, so that two
 * runs can be compared.
 */
#ifndef TESTS_PROGRAMS_COMMON_H
#define TESTS_PROGRAMS_COMMON_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define NEED(condition)                                                        \
	do {                                                                   \
		if (!(condition))                                              \
			need_failed(#condition, __FILE__, __LINE__);           \
	} while (0)
void need_failed(const char *what, const char *file, int line) __attribute__((noreturn));

/* A new self-signed P-256 certificate with its key, in both ends' hands. */
void make_certificate(const char *name, X509 **certificate, EVP_PKEY **key);

/* Server contexts have a certificate, client contexts trust anything. */
SSL_CTX *server_context(const SSL_METHOD *method);
SSL_CTX *client_context(const SSL_METHOD *method);

/* The two ends of a connection. */
struct pair {
	SSL_CTX *client_ctx, *server_ctx;
	SSL *client, *server;
	int client_fd, server_fd; /* -1 for BIO pairs */
};

/* Over a TCP connection on loopback, or over a BIO pair with `size` bytes (0: default). */
struct pair tcp_pair(bool nonblocking);
struct pair bio_pair(size_t size);
void set_role(struct pair *pair); /* SSL_set_connect_state and SSL_set_accept_state */
void pair_free(struct pair *pair);
/* Connected TCP sockets on loopback. */
void tcp_sockets(int fds[2], bool nonblocking);

/* Drives a non-blocking or BIO pair to the end of both handshakes; true when both succeed. */
bool finish(struct pair *pair);
/* One step each: SSL_do_handshake and, when it fails, SSL_get_error. */
int step(SSL *ssl);
/* Those that are open, and what they are. */
void print_descriptors(void);

const char *error_name(int error);

#endif
