/* SPDX-License-Identifier: Apache-2.0 */
#include "text/screen.h"

#include <curses.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/clean.h"

/* Shows as much of the text as fits, and returns how many columns it takes. */
static int put(const char *text, int room)
{
	char character[CLEAN_CHARACTER];
	int used = 0;
	size_t length;

	while ((length = clean_character(&text, character))) {
		int columns = (int)clean_columns(character, length);

		if (used + columns > room)
			break;
		addstr(character);
		used += columns;
	}
	return used;
}

void screen_text(int row, int column, int width, bool right, const char *text)
{
	char *clean = clean_copy(text);
	const char *shown = clean ? clean : "";
	int columns = (int)clean_columns(shown, strlen(shown)), used;

	move(row, column);
	for (used = 0; right && used < width - columns; used++)
		addch(' ');
	used += put(shown, width - used);
	for (; used < width; used++)
		addch(' ');
	free(clean);
}

void screen_line(int row, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	move(row, 0);
	if (text)
		put(text, COLS);
	free(text);
}
