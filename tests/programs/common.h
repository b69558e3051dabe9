/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the test programs: contexts with a certificate made at run time, and both ends of a
 * connection in one process. Every helper ends the program with a message if something outside the
 * test fails.
 *
 * Programs print no addresses, times or ids, so that the output of two runs can be compared.
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

/* A new self-signed P-256 certificate and its key. */
void make_certificate(const char *name, X509 **certificate, EVP_PKEY **key);

/* Server contexts have a certificate; client contexts trust any. */
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
/* Two connected TCP sockets on loopback. */
void tcp_sockets(int fds[2], bool nonblocking);

/* Drives a non-blocking or BIO pair to the end of both handshakes; true when both succeed. */
bool finish(struct pair *pair);
/* One SSL_do_handshake and, if it fails, SSL_get_error. */
int step(SSL *ssl);
/* The open descriptors, and what they are. */
void print_descriptors(void);

const char *error_name(int error);

#endif
