/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a trace are any bytes; JSON and pages take UTF-8 alone. */
#ifndef TOOLS_REPORT_UTF8_H
#define TOOLS_REPORT_UTF8_H

#include <stddef.h>

/* Copies `text`, cut at a character to fit, '?' for each byte that is no part of valid UTF-8. */
void utf8_clean(const char *text, char *out, size_t size);

#endif
