/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds trace files in memory as the shim would have written them, with constant clock, process
 * and thread ids: for unit tests and for tests/golden.
 *
 *	struct build b;
 *	build_trace(&b, NULL);
 *	struct tlstall_handshake *h = build_handshake(&b, 0x5000, 1 * BUILD_MS);
 *	build_call(&b, h, "SSL_connect", 1 * BUILD_MS, 300 * BUILD_US, -1, BUILD_WANT_READ);
 *	build_end(&b, h, 5 * BUILD_MS, TLSTALL_OUTCOME_FAILED);
 *	struct trace *trace = build_open(&b);
 *	...
 *	trace_close(trace);
 *	build_free(&b);
 *
 * One tick is one nanosecond; tick 0 is BUILD_EPOCH_NS. Everything that the pointers reach may be
 * changed before or after build_open().
 */
#ifndef TESTS_UNIT_BUILD_TRACE_H
#define TESTS_UNIT_BUILD_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "tlstall/look.h"

#define BUILD_US 1000ull
#define BUILD_MS (1000 * BUILD_US)
#define BUILD_S (1000 * BUILD_MS)
#define BUILD_EPOCH_NS 1790000000000000000ull
#define BUILD_PID 4123u
#define BUILD_TID 4123u

/* SSL_ERROR_*, as in openssl/ssl.h, which tools do not include. */
enum {
	BUILD_NONE,
	BUILD_SSL,
	BUILD_WANT_READ,
	BUILD_WANT_WRITE,
	BUILD_WANT_X509_LOOKUP,
	BUILD_SYSCALL,
	BUILD_ZERO_RETURN,
};

/* Entries of each section; 0: a small default. Rings must be powers of two. */
struct build_plan {
	uint32_t functions, states, strings, processes, modules, stacks;
	uint32_t handshakes, opening, rest;
};

struct build {
	unsigned char *bytes;
	size_t size;
	/* into `bytes` */
	struct tlstall_header *header;
	struct tlstall_function *functions;
	struct tlstall_string *states, *strings;
	struct tlstall_process *processes;
	struct tlstall_module *modules;
	struct tlstall_stack *stacks;
	struct tlstall_handshake *handshakes;
	struct tlstall_event *opening, *rest;
};

/* A finished trace of curl with one process, no handshakes, and a clock of 10 s. */
void build_trace(struct build *b, const struct build_plan *plan);
void build_free(struct build *b);

/* The id that the text has already, or a new one. */
uint8_t build_function(struct build *b, const char *name);
uint8_t build_state(struct build *b, const char *text);
uint16_t build_string(struct build *b, const char *text);

uint32_t build_process(struct build *b, uint32_t pid, const char *comm); /* index */
uint32_t build_module(struct build *b, const char *path, uint64_t start, uint64_t end);
uint32_t build_stack(struct build *b, const uint64_t *frames, uint32_t count); /* id */

/* The next slot: live, a client on a non-blocking socket to 127.0.0.1:8443. */
struct tlstall_handshake *build_handshake(struct build *b, uint64_t ssl, uint64_t start);

/* Each appends an event as the shim would, and updates `h`. */
struct tlstall_event *build_call(struct build *b, struct tlstall_handshake *h, const char *function,
				 uint64_t ticks, uint64_t duration, int32_t ret, uint8_t error);
struct tlstall_event *build_get_error(struct build *b, struct tlstall_handshake *h, uint64_t ticks,
				      int32_t argument, uint8_t answer);
struct tlstall_event *build_end(struct build *b, struct tlstall_handshake *h, uint64_t ticks,
				enum tlstall_outcome outcome);
/* Appends the event unchanged: to OPENING while the handshake has few events, else to REST. */
struct tlstall_event *build_event(struct build *b, struct tlstall_handshake *h,
				  const struct tlstall_event *event);

/* Appends a look, as the watching tool does; all pointers into `b` move. */
void build_look(struct build *b, const struct tlstall_look *look);

/* Adds a completed state to the timeline of `h`. */
void build_reach(struct build *b, struct tlstall_handshake *h, const char *state, uint64_t ticks);

/* One handshake, three calls and the end. */
void build_one(struct build *b);

struct trace;
struct trace *build_open(struct build *b);		  /* aborts if the reader refuses it */
int build_write(const struct build *b, const char *path); /* -1 with errno */

#endif
