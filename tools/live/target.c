/* SPDX-License-Identifier: Apache-2.0 */
#include "live/target.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

pid_t target_parse(const char *text)
{
	unsigned long value;

	if (!*text || text[strspn(text, "0123456789")])
		return 0;
	errno = 0;
	value = strtoul(text, NULL, 10);
	return errno || value > INT_MAX ? 0 : (pid_t)value;
}
