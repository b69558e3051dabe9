/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one ELF file says about itself, read through its program headers as
 * the loader would; section headers are not trusted and not needed.
 */
#ifndef TOOLS_CHECK_OBJECT_H
#define TOOLS_CHECK_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OBJECT_RANGES_MAX 16
#define OBJECT_MUSL_LOADER "ld-musl" /* how its file's name begins */

/* Functions of libssl that tell a user of it: bits of `imports` and `exports`. */
#define OBJECT_FUNCTIONS(X) \
	X(SSL_connect) \
	X(SSL_accept) \
	X(SSL_do_handshake) \
	X(SSL_read) \
	X(SSL_read_ex) \
	X(SSL_write) \
	X(SSL_write_ex) \
	X(SSL_get_error) \
	X(SSL_CTX_new) \
	X(SSL_new)

/* Functions that load libraries and look names up. */
#define OBJECT_LOADERS(X) \
	X(dlopen) \
	X(dlmopen) \
	X(dlsym) \
	X(dlvsym)

/* What tells one make of libssl from another, and that there is a libcrypto in the same file. */
#define OBJECT_MARKS(X) \
	X(CRYPTO_get_ex_new_index)    /* TLSTALL_INSIDE_CRYPTO */ \
	X(secure_getenv)	      /* TLSTALL_INSIDE_SIGN */ \
	X(SSL_stateless)	      /* OpenSSL from 1.1.1 on alone */ \
	X(SSL_library_init)	      /* a function in all but those from 1.1.0 on */ \
	X(SSL_to_bytes)		      /* AWS-LC */ \
	X(SSL_CTX_set_grease_enabled) /* BoringSSL, and AWS-LC */ \
	X(SSL_CTX_load_verify_mem)    /* LibreSSL */

enum object_symbol {
#define OBJECT_SYMBOL(name) OBJECT_##name,
	OBJECT_FUNCTIONS(OBJECT_SYMBOL) OBJECT_LOADERS(OBJECT_SYMBOL) OBJECT_MARKS(OBJECT_SYMBOL)
#undef OBJECT_SYMBOL
		OBJECT_SYMBOL_COUNT
};

#define OBJECT_BIT(symbol) (1u << OBJECT_##symbol)
#define OBJECT_LIBSSL_BITS (OBJECT_BIT(dlopen) - 1)

const char *object_symbol_name(enum object_symbol symbol);
/* The bit of a function of that name, 0: none of these. */
uint32_t object_symbol_bit(const char *name);

struct object_range {
	uint64_t offset, size; /* bytes of the file */
};

struct object {
	int class;    /* ELFCLASS32, ELFCLASS64 */
	int data;     /* ELFDATA2LSB, ELFDATA2MSB */
	int machine;  /* EM_* */
	int type;     /* ET_EXEC, ET_DYN */
	bool dynamic; /* has PT_DYNAMIC */
	bool pie;     /* DF_1_PIE */
	bool nodeflib;
	bool go;      /* carries Go's build id note */
	char *interpreter, *soname, *rpath, *runpath;
	char **needed;
	size_t needed_count;
	uint32_t imports, exports; /* OBJECT_BIT() each */
	uint64_t code;		   /* bytes of its largest executable and not writable segment */
	/* Constant data, where strings are. */
	struct object_range constants[OBJECT_RANGES_MAX];
	size_t constant_count;
	struct object_range strtab; /* of the dynamic symbols: names there are no text of the program */
};

/*
 * Reads an open file, or bytes (which must stay while this runs). Returns 0 or
 * -ENOEXEC not an ELF file, -EBADMSG a damaged one, -ENOMEM, -EIO.
 */
int object_read(int fd, struct object *object);
int object_read_bytes(const void *bytes, size_t size, struct object *object);

/*
 * The functions that it defines by .symtab, which debuggers read: OBJECT_BIT() each; 0 where
 * it is stripped or damaged. Returns 0 or -ENOMEM.
 */
int object_names(int fd, uint32_t *found);
void object_free(struct object *object);

#endif
