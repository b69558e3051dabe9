/* SPDX-License-Identifier: Apache-2.0 */
/* One SSL object of another process, from its own accessors. */
#ifndef TOOLS_LOOK_SSL_OBJECT_H
#define TOOLS_LOOK_SSL_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "look/library.h"
#include "look/sandbox.h"

struct ssl_object {
	uint64_t address;
	const struct libssl_copy *library;
	bool in_init;	/* a handshake is not finished */
	bool in_before; /* ... and not begun */
	bool server;
	bool has_bio;
	int want; /* SSL_want() */
	int version;
	int bio_type; /* of the read side's transport */
	int fd;	      /* -1: none, or only the program knows */
	uint64_t bytes_in, bytes_out; /* of the BIOs' whole life */
	uint64_t pending_in, pending_out; /* in memory BIOs; UINT64_MAX: not known */
	char state[60], name[80], bio_name[32], write_name[32];
};

enum object_result {
	OBJECT_IS,
	OBJECT_IS_NONE,
	OBJECT_UNREADABLE, /* one of its accessors could not be run: `trouble` */
};

struct trouble {
	enum accessor accessor;
	enum sandbox_result result;
	uint64_t value;
};

enum object_result ssl_object_read(struct sandbox *sandbox, int memory,
				   const struct libssl_copy *library, uint64_t address,
				   struct ssl_object *out, struct trouble *trouble);

#endif
