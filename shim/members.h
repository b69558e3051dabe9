/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of functions.def by number, of which a copy of libssl consists. */
#ifndef SHIM_MEMBERS_H
#define SHIM_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libssl.h"

enum {
#define INTERPOSED(name, ...) MEMBER_##name,
#define LIBSSL(name, need) MEMBER_##name,
#define LIBCRYPTO(name, need) MEMBER_##name,
#include "functions.def"
	MEMBERS
};

/* No pointers, so that nothing here needs relocation when the library is loaded. */
struct member {
	char name[28];
	uint16_t offset; /* in struct libssl */
	bool required, in_libcrypto, interposed;
};
extern const struct member members[MEMBERS];

/*
 * Takes the functions; NULL: absent. A copy of another library (LibreSSL, BoringSSL,
 * libgnutls-openssl, OpenSSL before 1.1.1) is foreign: the shim calls only the interposed functions
 * in it.
 */
void members_take(struct libssl *lib, void *const addresses[MEMBERS]);

#endif
