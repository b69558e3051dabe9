/* SPDX-License-Identifier: Apache-2.0 */
#include "members.h"

#include <string.h>

#define REQUIRED true
#define OPTIONAL false
const struct member members[MEMBERS] = {
#define INTERPOSED(name, kind, shape, handshake, need)                                             \
	{#name, offsetof(struct libssl, real.name), need, false, true},
#define LIBSSL(name, need) {#name, offsetof(struct libssl, name), need, false, false},
#define LIBCRYPTO(name, need) {#name, offsetof(struct libssl, name), need, true, false},
#include "functions.def"
};

/* Stands for a missing function: failing is better than a jump to address 0. */
static void *absent(void)
{
	return NULL;
}

/* AWS-LC claims to be "OpenSSL 1.1.1 (compatible; AWS-LC ...)". */
static bool is_openssl(const struct libssl *lib)
{
	const char *version = lib->OpenSSL_version(0);

	return !strncmp(version, "OpenSSL ", 8) && !strstr(version, "compatible") &&
	       lib->OpenSSL_version_num() >= 0x10101000ul;
}

void members_take(struct libssl *lib, void *const addresses[MEMBERS])
{
	for (size_t i = 0; i < MEMBERS; i++) {
		lib->foreign |= !addresses[i] && members[i].required;
		memcpy((char *)lib + members[i].offset, &addresses[i], sizeof(addresses[i]));
	}
	lib->foreign = lib->foreign || !is_openssl(lib);
	for (size_t i = 0; lib->foreign && i < MEMBERS; i++) {
		void *none = (void *)absent;

		if (!addresses[i])
			memcpy((char *)lib + members[i].offset, &none, sizeof(none));
	}
}
