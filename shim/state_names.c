/* SPDX-License-Identifier: Apache-2.0 */
#include "state_names.h"

#include "libssl.h"
#include "tlstall/state_names.h"

#define STATE(name, number, newer, text) TLSTALL_ASSERT(name == (number) || name == (newer));
TLSTALL_STATE_NAMES(STATE)
#undef STATE

const char *state_names_of(const SSL *ssl)
{
	const struct libssl *lib = libssl_of(ssl);
	const char *name = tlstall_state_name(lib->SSL_get0_connection != NULL,
					      lib->SSL_get_state(ssl));

	return name ? name : "unknown state";
}
