/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever comes from a trace, a process, a peer or a file may hold any bytes. Before it goes to a
 * terminal, into JSON or into a page it passes here: the result is valid UTF-8 without a character
 * that moves the cursor, changes the direction of text, or hides. Such a one is shown as what it
 * is: \n, \x1b, \u202e; a byte that is no UTF-8 as \xff. Nothing is left out.
 */
#ifndef TOOLS_TEXT_CLEAN_H
#define TOOLS_TEXT_CLEAN_H

#include <stdbool.h>
#include <stddef.h>

/* The longest form of one character, with its end. */
#define CLEAN_CHARACTER 11
/* How much longer a text may become: \xff is one byte. */
#define CLEAN_LONGER 4

/* One character of `*text`, which goes on; its length in `out`, 0 at the end of the text. */
size_t clean_character(const char **text, char out[CLEAN_CHARACTER]);
/* Cut between characters to fit; returns the length. Clean text stays what it is. */
size_t clean_text(const char *text, char *out, size_t size);
/* Printable ASCII alone, as most are: clean as it is. */
bool clean_is_plain(const char *text);
/* Columns that the first `length` bytes of clean text take on a terminal. */
unsigned clean_columns(const char *text, size_t length);
/* Whether it would stay as it is. */
bool clean_is(const char *text);
/* All of it, to be freed; NULL: out of memory. */
char *clean_copy(const char *text);

#endif
