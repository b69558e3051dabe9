/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/mhd.h"

#include "late.h"
#include "message.h"

struct mhd_functions mhd;

bool mhd_load(void)
{
	static const struct late_function functions[] = {
#define FUNCTION(name) {"MHD_" #name, (void **)&mhd.name},
		MHD_FUNCTIONS
#undef FUNCTION
	};
	const char *why =
		late_load("libmicrohttpd.so.12", functions, sizeof(functions) / sizeof(*functions));

	if (why)
		complain("libmicrohttpd, which answers requests, cannot be loaded: %s", why);
	return !why;
}
