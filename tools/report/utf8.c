/* SPDX-License-Identifier: Apache-2.0 */
/* See utf8.h. */
#include <stdint.h>
#include <string.h>

#include "report/utf8.h"

/* Bytes of the character at `at`; 0: it is not one. */
static size_t character(const unsigned char *at)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = at[0] < 0x80	       ? 1
		      : (at[0] & 0xe0) == 0xc0 ? 2
		      : (at[0] & 0xf0) == 0xe0 ? 3
		      : (at[0] & 0xf8) == 0xf0 ? 4
					       : 0;
	uint32_t code = size == 1 ? at[0] : at[0] & (0x7fu >> size);

	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3fu);
	}
	if (size && (code < smallest[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)))
		return 0;
	return size;
}

void utf8_clean(const char *text, char *out, size_t size)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t used = 0;

	while (*at) {
		size_t bytes = character(at);

		if (used + (bytes ? bytes : 1) >= size)
			break;
		if (bytes)
			memcpy(out + used, at, bytes);
		else
			out[used] = '?';
		used += bytes ? bytes : 1;
		at += bytes ? bytes : 1;
	}
	out[used] = '\0';
}
