/* SPDX-License-Identifier: Apache-2.0 */
/* The only way to put text on the curses screen: cleaned (text/clean.h), cut to its width. */
#ifndef TOOLS_TEXT_SCREEN_H
#define TOOLS_TEXT_SCREEN_H

#include <stdbool.h>

/* In this many columns, padded with blanks on the left (`right`) or on the right. */
void screen_text(int row, int column, int width, bool right, const char *text);
/* From the left edge to the right one at most. */
void screen_line(int row, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
