/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which libssl copy made an object, and that copy's real functions. One of the first words of an
 * SSL or SSL_CTX points to its SSL_METHOD, which is inside the libssl that made it. The word is
 * only a hint: it is believed if it points into the mapped range of a known copy.
 */
#ifndef SHIM_LIBSSL_H
#define SHIM_LIBSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openssl.h"
#include "tlstall/trace.h"

struct elf_object;

enum function_id {
#define INTERPOSED(name, ...) FN_##name,
#include "functions.def"
	FN_INTERNAL, /* a handshake that no op drives */
	FN_COUNT
};

static inline enum tlstall_function_kind libssl_kind(uint8_t function)
{
	static const uint8_t kinds[FN_COUNT] = {
#define INTERPOSED(name, kind, ...) [FN_##name] = TLSTALL_KIND_##kind,
#include "functions.def"
		[FN_INTERNAL] = TLSTALL_KIND_INTERNAL,
	};

	return (enum tlstall_function_kind)kinds[function];
}

/* Whether a call can begin or continue a handshake. */
static inline bool libssl_drives(uint8_t function)
{
	enum { KEEPS, DRIVES };
	static const uint8_t drives[FN_COUNT] = {
#define INTERPOSED(name, kind, shape, handshake, need) [FN_##name] = handshake,
#include "functions.def"
		[FN_INTERNAL] = DRIVES,
	};

	return drives[function];
}

/* One of each exported function. */
struct functions {
#define INTERPOSED(name, ...) __typeof__(&name) name;
#include "functions.def"
};

struct libssl {
	uintptr_t start, size;	  /* mapped range */
	uint8_t id;		  /* position among the copies */
	bool foreign;		  /* an unknown OpenSSL: calls are forwarded, nothing is observed */
	bool stays;		  /* is never unloaded, or nobody can tell */
	/* These change while other threads read them. */
	_Atomic bool registering;
	_Atomic uint32_t round; /* how often it was found to have been loaded again */
	_Atomic int ssl_index, ctx_index; /* ex_data, -1: not registered yet */
	_Atomic int callback_index, hint_index;
	_Atomic bool has_callbacks;	/* the program has set an info callback */
	_Atomic bool program_memory;	/* the program replaced OpenSSL's allocator */
	_Atomic bool divided; /* some of its objects do not have our ex_data */
	void *_Atomic default_context; /* the OSSL_LIB_CTX whose objects have it */
	uint8_t state_ids[64];		/* of the texts for an OSSL_HANDSHAKE_STATE; 0: not known */
	const void *methods[8];		/* its BIO methods, in the order of observe.c; NULL: not asked yet */
	struct functions real;
	/* what a wrapper forwards to: the real function, or one of chained.h */
#define INTERPOSED(name, ...) __typeof__(&name) name;
#define LIBSSL(name, need) __typeof__(&name) name;
#define LIBCRYPTO(name, need) __typeof__(&name) name;
#include "functions.def"
};

#define LIBSSL_MAX 16
extern struct libssl *libssl_copies[LIBSSL_MAX] __attribute__((visibility("hidden")));

/* The slow path: searches all loaded objects again. Never NULL. */
const struct libssl *libssl_find(const void *object);

/*
 * Indexes of the words of an SSL that may be its method: 1 up to OpenSSL 3.1, then 2 or 3; SSL_CTX:
 * 0 or 1.
 */
static inline bool libssl_made(const struct libssl *lib, const void *object)
{
	const uintptr_t *word = object;

	return word[1] - lib->start < lib->size || word[2] - lib->start < lib->size ||
	       word[3] - lib->start < lib->size || word[0] - lib->start < lib->size;
}

/* The first known copy, if it made that object; otherwise NULL. */
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

/*
 * The known copy that contains an address, or NULL; the second function looks for new copies first.
 */
const struct libssl *libssl_holding(const void *address);
const struct libssl *libssl_at(const void *address);
/*
 * Decides by the functions that the object defines: file names and sonames vary, and other
 * libraries wrap functions.
 */
bool libssl_is_copy(const struct elf_object *object);
/* Whether the process contains any copy. */
bool libssl_any(void);
/* Searches all objects of the dlmopen namespace that contains this one. */
void libssl_learn_beside(const struct elf_object *object);

/*
 * Registers part of a program as a copy, with its functions in the order of functions.def. False:
 * an unknown OpenSSL, or out of memory. The second function, called before any handshake, replaces
 * patched functions with what calls the originals.
 */
bool libssl_learn_inside(const struct elf_object *object, void *const addresses[]);
void libssl_go_through(const struct elf_object *object, void *const addresses[]);

/* The copy that an SSL_METHOD belongs to. Never NULL. */
const struct libssl *libssl_of_method(const void *method);

#endif
