/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnosis/stack.h"

#include <string.h>

#define SEPARATOR " < "
#define NAME_SIZE 80

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
/* Functions that both use, or that both are called by. */
static const char *const of_both[] = {"ASYNC_", "BIO_"};

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
static const char *last_name(const char *symbols, const char *end, char name[NAME_SIZE])
{
	const char *start = symbols;
	size_t length;

	for (const char *at = symbols; (at = strstr(at, SEPARATOR)) && at < end;) {
		at += sizeof(SEPARATOR) - 1;
		start = at;
	}
	length = (size_t)(end - start) < NAME_SIZE - 1 ? (size_t)(end - start) : NAME_SIZE - 1;
	memcpy(name, start, length);
	name[length] = '\0';
	return start;
}

/* From the op inward: the first telling frame decides, as a callback may use TLS itself. */
enum stack_says stack_says(const char *symbols)
{
	const char *end = symbols ? symbols + strlen(symbols) : NULL;
	char name[NAME_SIZE];
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
