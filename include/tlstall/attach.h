/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the shim is attached to a running program, and detached: the tool makes a
 * thread of that program call tlstall_attach(), later tlstall_detach(), and reads the
 * variable tlstall_attachment. Both sides check `version`: the library in the
 * program may be older than the tool.
 */
#ifndef TLSTALL_ATTACH_H
#define TLSTALL_ATTACH_H

#include <stdint.h>

#include "tlstall/assert.h"

#define TLSTALL_ATTACH_VERSION 3
#define TLSTALL_ATTACH_DIRECTORY 1024
#define TLSTALL_ATTACH_ADOPTED 64

/*
 * A handshake that the tool found in flight before it attached. Only an address: when the shim
 * sees a call on the object there, it asks again whether the handshake has begun.
 */
struct tlstall_adopted {
	uint64_t ssl;
	uint64_t begun_ns; /* at least this long ago; it has made no progress since */
	uint64_t bytes_in, bytes_out; /* of its BIOs, then */
};

struct tlstall_attach {
	uint32_t version;
	uint32_t mode; /* enum tlstall_mode */
	char directory[TLSTALL_ATTACH_DIRECTORY]; /* for the trace, as that process sees it */
	uint32_t is_private; /* 1: the tool removes the directory, so TLSTALL_LIMIT does not apply */
	uint32_t adopted_count;
	struct tlstall_adopted adopted[TLSTALL_ATTACH_ADOPTED];
};

/* What the two functions return. */
#define TLSTALL_ATTACH_RESULTS(X)                                                                  \
	X(DONE, "done")                                                                            \
	X(VERSION_DIFFERS, "the library in it is from another version of tlstall")                           \
	X(PRELOADED, "it was started with the shim (tlstall ctl changes what it records, except with TLSTALL_MODE=off)") \
	X(ALREADY, "it is already attached to (tlstall detach ends that)")                         \
	X(NOT_ATTACHED, "nothing is attached to it")                                               \
	X(NO_LIBSSL, "it has no libssl whose calls can be recorded")                               \
	X(NO_TRACE, "it cannot make a trace")                                                  \
	X(BUSY, "it keeps loading and unloading libraries")                                       \
	X(CODE, "a function of the OpenSSL inside it begins with instructions that tlstall does not know") \
	X(PROTECTED, "its kernel gives it no executable memory near the OpenSSL inside it")
enum tlstall_attach_result {
#define X(name, words) TLSTALL_ATTACH_##name,
	TLSTALL_ATTACH_RESULTS(X)
#undef X
};

enum tlstall_attach_state {
	TLSTALL_PRELOADED, /* loaded when the program started */
	TLSTALL_ATTACHED,
	TLSTALL_DETACHED, /* dormant: the program no longer calls it */
};

/*
 * A jump that belongs at the beginning of a function of an OpenSSL inside the program. The shim
 * prepares it; the tool writes it, and takes it away, while all threads are stopped.
 */
struct tlstall_jump {
	uint64_t address; /* its bytes lie in one page */
	uint8_t original[8], jump[8];
	uint32_t size; /* of both */
	uint32_t reserved;
};
#define TLSTALL_ATTACH_JUMPS 40

struct tlstall_attachment {
	uint32_t version;
	uint32_t state; /* enum tlstall_attach_state */
	uint32_t slots; /* import table entries that point to the shim */
	uint32_t jump_count;
	char directory[TLSTALL_ATTACH_DIRECTORY]; /* of the trace, or of the last one */
	struct tlstall_jump jumps[TLSTALL_ATTACH_JUMPS];
};

TLSTALL_AT(tlstall_attach, directory, 8);
TLSTALL_AT(tlstall_attach, is_private, 1032);
TLSTALL_AT(tlstall_attach, adopted, 1040);
TLSTALL_AT(tlstall_attachment, directory, 16);
TLSTALL_AT(tlstall_attachment, jumps, 1040);
TLSTALL_AT(tlstall_jump, size, 24);

#endif
