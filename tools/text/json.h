/* SPDX-License-Identifier: Apache-2.0 */
/* The only way to put a string into JSON: cleaned (text/clean.h), and therefore valid UTF-8. */
#ifndef TOOLS_TEXT_JSON_H
#define TOOLS_TEXT_JSON_H

#include <jansson.h>

/* NULL counts as "". The result is NULL without memory. */
json_t *json_text(const char *text);

#endif
