/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnosis/stack.h"

#include <string.h>

#define SEPARATOR " < "

struct known_function {
	const char *prefix;
	enum stack_says says;
};

/* Prefixes of function names. Other functions of OpenSSL say nothing. */
static const struct known_function names[] = {
	{"BIO_read", STACK_IN_BIO},	  {"BIO_write", STACK_IN_BIO},
	{"BIO_ctrl", STACK_IN_BIO},	  {"BIO_puts", STACK_IN_BIO},
	{"EVP_DigestSign", STACK_IN_KEY}, {"EVP_SignFinal", STACK_IN_KEY},
	{"EVP_PKEY_sign", STACK_IN_KEY},  {"EVP_PKEY_decrypt", STACK_IN_KEY},
	{"RSA_sign", STACK_IN_KEY},	  {"RSA_private_", STACK_IN_KEY},
	{"ECDSA_", STACK_IN_KEY},	  {"DSA_sign", STACK_IN_KEY},
	{"DSA_do_sign", STACK_IN_KEY},
};

static const char *const of_libssl[] = {
	"SSL_", "DTLS", "libssl", "ssl_",	   "ssl3_",
	"tls_", "tls1", "dtls1_", "state_machine", "statem_",
};

static const char *const of_libcrypto[] = {
	"libcrypto", "EVP_", "X509", "CRYPTO_", "OPENSSL_", "OSSL_", "ossl_", "RSA_", "EC_",
	"ASN1_",     "PEM_", "d2i_", "i2d_",	"ENGINE_",  "ERR_",  "OBJ_",  "PKCS", "RAND_",
	"BN_",	     "DH_",  "ECDH", "CT_",	"OCSP_",    "CONF_", "HMAC",  "SCT_", "COMP_",
};
/* Functions that both use, or that both are called by; providers that come with them. */
static const char *const of_both[] = {"ASYNC_", "BIO_", "fips.so", "legacy.so"};
/* What takes locks for its caller. Names that begin so are reserved for the C library. */
static const char *const of_libc[] = {
	"__",	    "libc.",  "libc-",	"libpthread", "ld-",	     "_dl_",	    "_int_",
	"pthread_", "futex",  "lll_",	"sem_",	      "mtx_",	     "cnd_",	    "call_once",
	"syscall",  "malloc", "calloc", "realloc",    "libjemalloc", "libtcmalloc",
};

static bool begins(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

#define IS_OF(list, name) is_among(list, sizeof(list) / sizeof((list)[0]), name)
static bool is_among(const char *const *prefixes, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (begins(name, prefixes[i]))
			return true;
	}
	return false;
}

static bool is_of_openssl(const char *name)
{
	return IS_OF(of_libssl, name) || IS_OF(of_libcrypto, name) || IS_OF(of_both, name);
}

static enum stack_says name_says(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (begins(name, names[i].prefix))
			return names[i].says;
	}
	return is_of_openssl(name) ? STACK_UNKNOWN : STACK_IN_CALLBACK;
}

/* Finds the frame that ends at `end`, and returns its start. */
static const char *last_name(const char *symbols, const char *end, char name[STACK_NAME])
{
	const char *start = symbols;
	size_t length;

	for (const char *at = symbols; (at = strstr(at, SEPARATOR)) && at < end;) {
		at += sizeof(SEPARATOR) - 1;
		start = at;
	}
	length = (size_t)(end - start) < STACK_NAME - 1 ? (size_t)(end - start) : STACK_NAME - 1;
	memcpy(name, start, length);
	name[length] = '\0';
	return start;
}

/* From the op inward: the first telling frame decides, as a callback may use TLS itself. */
enum stack_says stack_says(const char *symbols)
{
	const char *end = symbols ? symbols + strlen(symbols) : NULL;
	char name[STACK_NAME];
	/* libcrypto reads only files: calls to the handshake's BIO come from libssl */
	bool deep = false;

	while (end && end > symbols) {
		const char *start = last_name(symbols, end, name);
		enum stack_says says = name_says(name);

		if (says != STACK_UNKNOWN && !(deep && says == STACK_IN_BIO))
			return says;
		deep = IS_OF(of_libcrypto, name) || (deep && !IS_OF(of_libssl, name));
		end = start > symbols ? start - (sizeof(SEPARATOR) - 1) : symbols;
	}
	return STACK_UNKNOWN;
}

/*
 * From the op inward: the first function that is not of OpenSSL. Called by the op itself, it may be
 * a part of OpenSSL in a program that contains it, without symbols. A module of OpenSSL's is sure.
 */
enum stack_lock stack_lock(const char *symbols, char name[STACK_NAME])
{
	const char *end = symbols ? symbols + strlen(symbols) : NULL;
	unsigned inside = 0;

	while (end && end > symbols) {
		const char *start = last_name(symbols, end, name);

		if (!is_of_openssl(name) && !IS_OF(of_libc, name))
			return inside > 1 ? STACK_LOCK_CALLBACK : STACK_LOCK_UNKNOWN;
		inside += is_of_openssl(name) ? 1u + begins(name, "lib") : 0;
		end = start > symbols ? start - (sizeof(SEPARATOR) - 1) : symbols;
	}
	return inside > 1 ? STACK_LOCK_OPENSSL : STACK_LOCK_UNKNOWN;
}
