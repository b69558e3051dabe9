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
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "openssl.h"
#include "tlstall/trace.h"

struct elf_object;

enum function_id {
#define INTERPOSED(name, kind, need) FN_##name,
#include "functions.def"
	FN_INTERNAL, /* a handshake that no op drives */
	FN_COUNT
};

static inline enum tlstall_function_kind libssl_kind(uint8_t function)
{
	static const uint8_t kinds[FN_COUNT] = {
#define INTERPOSED(name, kind, need) [FN_##name] = TLSTALL_KIND_##kind,
#include "functions.def"
		[FN_INTERNAL] = TLSTALL_KIND_INTERNAL,
	};

	return (enum tlstall_function_kind)kinds[function];
}

struct libssl {
	uintptr_t start, size;	  /* mapped range */
	uint8_t id;		  /* position among the copies */
	bool foreign;		  /* not an OpenSSL that we know: forward, look at nothing */
	int ssl_index, ctx_index; /* ex_data, -1: not registered yet */
	bool has_callbacks;	  /* the program has set an info callback on a context */
	uint8_t state_ids[64];	  /* of the text for an OSSL_HANDSHAKE_STATE; 0: not known yet */
#define INTERPOSED(name, kind, need) __typeof__(&name) name;
#define LIBSSL(name, need) __typeof__(&name) name;
#define LIBCRYPTO(name, need) __typeof__(&name) name;
#include "functions.def"
};

static inline size_t libssl_offset(enum function_id id)
{
	static const uint16_t offsets[FN_COUNT] = {
#define INTERPOSED(name, kind, need) [FN_##name] = offsetof(struct libssl, name),
#include "functions.def"
	};

	return offsets[id];
}

#define LIBSSL_MAX 16
extern struct libssl *libssl_copies[LIBSSL_MAX] __attribute__((visibility("hidden")));
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

/* The copy that came first, if it made that object; else NULL. */
static inline const struct libssl *libssl_first(const void *object)
{
	const struct libssl *lib = __atomic_load_n(&libssl_copies[0], __ATOMIC_ACQUIRE);

	return __builtin_expect(lib && object && libssl_made(lib, object), 1) ? lib : NULL;
}

static inline const struct libssl *libssl_of(const void *object)
{
	const struct libssl *lib = libssl_first(object);

	return __builtin_expect(lib != NULL, 1) ? lib : libssl_find(object);
}

/* The real function by its number, one of these for each shape. */
#define LIBSSL_BY_ID(shape, example)                                                               \
	static inline __typeof__(&example) libssl_##shape(const struct libssl *lib,                \
							  enum function_id id)                     \
	{                                                                                          \
		__typeof__(&example) real;                                                         \
                                                                                                   \
		memcpy(&real, (const char *)lib + libssl_offset(id), sizeof(real));                \
		return real;                                                                       \
	}
LIBSSL_BY_ID(op, SSL_connect)
LIBSSL_BY_ID(read, SSL_read)
LIBSSL_BY_ID(write, SSL_write)
LIBSSL_BY_ID(read_ex, SSL_read_ex)
LIBSSL_BY_ID(write_ex, SSL_write_ex)
#undef LIBSSL_BY_ID

/* The known copy that an address lies in, or NULL; and the same, after a look for new ones. */
const struct libssl *libssl_holding(const void *address);
const struct libssl *libssl_at(const void *address);
/* Whether there is one at all in the process. */
bool libssl_any(void);
/* Looks at all objects of the namespace, made by dlmopen, that this one lies in. */
void libssl_learn_beside(const struct elf_object *object);

/* The copy that a SSL_METHOD belongs to. Never NULL. */
const struct libssl *libssl_of_method(const void *method);

#endif
