/* SPDX-License-Identifier: Apache-2.0 */
/* Interned strings: each distinct text once, named by a small number. Id 0 is "". */
#ifndef TOOLS_REPORT_STRINGS_H
#define TOOLS_REPORT_STRINGS_H

#include <stdbool.h>
#include <stdint.h>

struct strings {
	char **text;
	uint32_t *table; /* open addressing, id + 1, 0: free */
	uint32_t count, room, table_size;
	bool failed; /* memory ran out: a text is missing */
};

/* The id of `text` (NULL counts as ""); 0 as well when memory runs out, which `failed` says. */
uint32_t strings_id(struct strings *strings, const char *text);
/* The same for any bytes: made valid UTF-8 and cut to STRINGS_ANY first. */
uint32_t strings_any(struct strings *strings, const char *text);
#define STRINGS_ANY 8192
const char *strings_text(const struct strings *strings, uint32_t id);
void strings_free(struct strings *strings);

#endif
