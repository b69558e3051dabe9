/* SPDX-License-Identifier: Apache-2.0 */
#include "harmless.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Length of a character; 0: invalid UTF-8. */
static size_t character(const unsigned char *text, uint32_t *value)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *text < 0x80 ? 1 : *text >> 5 == 6 ? 2 : *text >> 4 == 14 ? 3 : *text >> 3 == 30 ? 4 : 0;

	if (!length)
		return 0;
	*value = length == 1 ? *text : *text & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if (text[i] >> 6 != 2)
			return 0;
		*value = *value << 6 | (text[i] & 63);
	}
	return *value < least[length] || *value > 0x10ffff || *value >> 11 == 27 ? 0 : length;
}

static bool is_harmful(uint32_t value)
{
	return value < 0x20 || (value >= 0x7f && value < 0xa0) || value == 0x061c || value == 0x200e || value == 0x200f ||
	       (value >= 0x2028 && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069) || value == 0xfeff;
}

void need_harmless(const char *text, bool lines)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t value = 0;

	for (size_t length; *at; at += length) {
		length = character(at, &value);
		if (length && (!is_harmful(value) || (lines && value == '\n')))
			continue;
		/* the caller may have redirected stderr */
		dprintf(STDERR_FILENO, "harmful at byte %td: %s\n", at - (const unsigned char *)text, text);
		abort();
	}
}
