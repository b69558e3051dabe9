/* SPDX-License-Identifier: Apache-2.0 */
/* What a stack says of an op: "recv < my_read < BIO_read < libssl.so.3 < SSL_connect". */
#ifndef TOOLS_DIAGNOSIS_STACK_H
#define TOOLS_DIAGNOSIS_STACK_H

#include <stdbool.h>
#include <stddef.h>

enum stack_says {
	STACK_UNKNOWN,
	STACK_IN_BIO,	   /* in the read or write function of the handshake's own BIO */
	STACK_IN_KEY,	   /* in an operation with a private key */
	STACK_IN_CALLBACK, /* out of OpenSSL by another way: a callback, or for a file */
};

/* NULL and "": not known. */
enum stack_says stack_says(const char *symbols);

#define STACK_NAME 80

/* Whose code waits for a lock: the C library's own functions do so on behalf of their callers. */
enum stack_lock {
	STACK_LOCK_UNKNOWN,
	STACK_LOCK_OPENSSL,
	STACK_LOCK_CALLBACK, /* of code that OpenSSL has called: `name` is its function, or its
				module */
};
enum stack_lock stack_lock(const char *symbols, char name[STACK_NAME]);

#endif
