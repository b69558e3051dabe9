/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which libssl copy made an object, and that copy's real functions.
 *
 * One of the first words of an SSL or SSL_CTX is its SSL_METHOD, which lies
 * inside the libssl that made it. The word is a hint only: it is believed
 * when it points into the mapped range of a copy that we know.
 */
#ifndef SHIM_LIBSSL_H
#define SHIM_LIBSSL_H

#include <stdbool.h>
#include <stdint.h>

#include "openssl.h"

enum function_id {
#define INTERPOSED(name, kind, need) FN_##name,
#include "functions.def"
	FN_INTERNAL, /* a handshake that no op drives */
	FN_COUNT
};

struct libssl {
	uintptr_t start, size; /* mapped range */
	uint8_t id;	       /* position among the copies */
	bool foreign;	       /* not an OpenSSL that we know: forward, look at nothing */
	int ssl_index, ctx_index; /* ex_data, -1: not registered yet */
#define INTERPOSED(name, kind, need) __typeof__(&name) name;
#define LIBSSL(name, need) __typeof__(&name) name;
#define LIBCRYPTO(name, need) __typeof__(&name) name;
#include "functions.def"
};

#define LIBSSL_MAX 16
extern struct libssl *libssl_copies[LIBSSL_MAX];
/* One of them came by dlmopen, with a libc of its own. */
extern bool libssl_elsewhere;

/* The slow way: looks at all loaded objects again. Never NULL. */
const struct libssl *libssl_find(const void *object);

/* The words of an object that may be its method: 1 up to 3.1, then 2 or 3; SSL_CTX: 0 or 1. */
static inline bool libssl_made(const struct libssl *lib, const void *object)
{
	const uintptr_t *word = object;

	return word[1] - lib->start < lib->size || word[2] - lib->start < lib->size ||
	       word[3] - lib->start < lib->size || word[0] - lib->start < lib->size;
}

static inline const struct libssl *libssl_of(const void *object)
{
	const struct libssl *lib = __atomic_load_n(&libssl_copies[0], __ATOMIC_ACQUIRE);

	if (__builtin_expect(lib && object && libssl_made(lib, object), 1))
		return lib;
	return libssl_find(object);
}

/* The known copy that an address lies in, or NULL; and the same, after a look for new ones. */
const struct libssl *libssl_holding(const void *address);
const struct libssl *libssl_at(const void *address);
/* Whether there is one at all in the process. */
bool libssl_any(void);

/* The copy that a SSL_METHOD belongs to. Never NULL. */
const struct libssl *libssl_of_method(const void *method);

#endif
