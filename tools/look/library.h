/* SPDX-License-Identifier: Apache-2.0 */
/* The copies of libssl in another process, and the addresses of their accessors. */
#ifndef TOOLS_LOOK_LIBRARY_H
#define TOOLS_LOOK_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

#include "look/regions.h"
#include "tlstall/trace.h"

enum accessor {
#define ACCESSOR(name, library, need) ACCESSOR_##name,
#include "look/accessors.def"
#undef ACCESSOR
	ACCESSORS
};
const char *accessor_name(enum accessor accessor);

enum op {
#define OP(name, kind) OP_##name,
#include "look/ops.def"
#undef OP
	OPS
};
const char *op_name(enum op op);
enum tlstall_function_kind op_kind(enum op op);

#define LIBRARIES 8

struct libssl_copy {
	uint64_t start, end;
	bool alone;		      /* not linked into a program */
	uint64_t function[ACCESSORS]; /* 0: it has none */
	struct {
		uint64_t start, size;
	} ops[OPS];
	uint32_t version; /* OpenSSL_version_num(), 0: not asked yet */
	const char *path; /* belongs to the regions */
};

struct libraries {
	struct libssl_copy list[LIBRARIES];
	unsigned count;
	uint64_t least, most; /* all of them lie between these addresses */
	const char *foreign; /* a library that has SSL_connect but is not a supported OpenSSL; NULL:
			        none */
	bool starved; /* some may be missing for lack of memory */
};

void libraries_find(pid_t pid, int memory, const struct regions *regions, struct libraries *out);

/* Whose code lies there; NULL: none of theirs. `op`: which of the functions, OPS: another. */
const struct libssl_copy *libraries_at(const struct libraries *libraries, uint64_t address,
				       enum op *op);

#endif
