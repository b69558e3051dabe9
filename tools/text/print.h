/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of all text to files and terminals. Formats are ours; every string that goes into one
 * is cleaned (text/clean.h), whoever it came from: nothing can be printed and forgotten.
 */
#ifndef TOOLS_TEXT_PRINT_H
#define TOOLS_TEXT_PRINT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * As fprintf(), for %s %c %d %i %u %x %X %f %g and %%; %s is as wide as
 * asked in columns, its precision counts bytes.
 */
void print(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void print_text(FILE *out, const char *text);
/* What the tool itself wrote, with its newlines and colors: help, a paragraph made by print(). */
void print_ours(FILE *out, const char *text);

/* Whether `out` is a terminal on which colors are wanted: NO_COLOR is not set, or empty. */
bool print_in_color(FILE *out);

/* Control sequences for the terminal: how text looks, and to restart the line. */
#define PRINT_RESET "\033[0m"
#define PRINT_BOLD "\033[1m"
#define PRINT_DIM "\033[2m"
#define PRINT_RED "\033[31m"
#define PRINT_YELLOW "\033[33m"

#endif
