/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json.h"

#include <stdlib.h>

#include "text/clean.h"

json_t *json_text(const char *text)
{
	char *clean;
	json_t *string;

	if (!text || clean_is_plain(text))
		return json_string_nocheck(text ? text : "");
	clean = clean_copy(text);
	string = clean ? json_string_nocheck(clean) : NULL;
	free(clean);
	return string;
}
