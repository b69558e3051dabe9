/* SPDX-License-Identifier: Apache-2.0 */
#include "text/print.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/clean.h"

#define SPEC_SIZE 32
#define SHORT 512 /* longer texts are cleaned character by character */

/* A conversion in a format: "%-*.*s". */
struct spec {
	const char *flags;
	size_t flag_count;
	bool left;
	int width, precision; /* -1: not given */
	char length;	      /* 'l' for long and size_t, 'q' for long long, 0 for int */
	char conversion;
};

/* ---- conversions ------------------------------------------------------------------ */

static int number(const char **at, va_list *arguments)
{
	int value = 0;

	if (**at == '*') {
		++*at;
		return va_arg(*arguments, int);
	}
	for (; **at >= '0' && **at <= '9'; ++*at)
		value = value * 10 + **at - '0';
	return value;
}

static char length_of(const char **at)
{
	char length = 0;

	for (; strchr("lzjth", **at); ++*at)
		length = length == 'l' ? 'q' : **at == 'h' ? 0 : 'l';
	return length;
}

/* Parses what follows '%'. */
static const char *parse(const char *at, va_list *arguments, struct spec *spec)
{
	const char *flags = at;
	size_t count = strspn(at, "-+ #0");

	*spec = (struct spec){.flags = flags, .flag_count = count, .width = -1, .precision = -1};
	at += count;
	spec->left = memchr(flags, '-', count);
	if (*at == '*' || (*at >= '1' && *at <= '9'))
		spec->width = number(&at, arguments);
	if (*at == '.') {
		at++;
		spec->precision = number(&at, arguments);
	}
	spec->length = length_of(&at);
	spec->conversion = *at ? *at++ : '%';
	return at;
}

/* Writes the conversion for fprintf(), with width and precision as arguments: "%-*.*lu". */
static void write_spec(const struct spec *spec, char text[SPEC_SIZE])
{
	size_t count = spec->flag_count < 8 ? spec->flag_count : 8;
	char *at = text;

	*at++ = '%';
	at = (char *)memcpy(at, spec->flags, count) + count;
	at = (char *)memcpy(at, "*.*", 3) + 3;
	if (spec->length)
		*at++ = 'l';
	if (spec->length == 'q')
		*at++ = 'l';
	*at++ = spec->conversion;
	*at = '\0';
}

static void put_formatted(FILE *out, const struct spec *spec, va_list *arguments)
{
	int width = spec->width < 0 ? 0 : spec->width;
	char text[SPEC_SIZE];

	write_spec(spec, text);
	/* the conversion determines the type: signed and unsigned are passed alike */
	if (strchr("fFgGeE", spec->conversion))
		fprintf(out, text, width, spec->precision, va_arg(*arguments, double));
	else if (spec->length == 'q')
		fprintf(out, text, width, spec->precision, va_arg(*arguments, long long));
	else if (spec->length == 'l')
		fprintf(out, text, width, spec->precision, va_arg(*arguments, long));
	else
		fprintf(out, text, width, spec->precision, va_arg(*arguments, int));
}

/* Most numbers are a plain %u or %lu: done here, since fprintf() takes five times as long. */
static void put_number(FILE *out, const struct spec *spec, va_list *arguments)
{
	bool bare = !spec->flag_count && spec->width < 0 && spec->precision < 0;
	char digits[20];
	size_t at = sizeof(digits);
	unsigned long number;

	if (!bare || spec->conversion != 'u' || spec->length == 'q') {
		put_formatted(out, spec, arguments);
		return;
	}
	number = spec->length ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned);
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	fwrite(digits + at, 1, sizeof(digits) - at, out);
}

/* ---- strings ------------------------------------------------------------------------ */

static void pad(FILE *out, int columns)
{
	while (columns-- > 0)
		putc_unlocked(' ', out);
}

static void put_plain(FILE *out, const struct spec *spec, const char *text, size_t length)
{
	if (!spec->left)
		pad(out, spec->width - (int)length);
	fwrite(text, 1, length, out);
	if (spec->left)
		pad(out, spec->width - (int)length);
}

static void put_padded(FILE *out, const struct spec *spec, const char *text)
{
	char clean[CLEAN_CHARACTER], line[SHORT];
	size_t used = 0, length;
	int columns;

	if (clean_is_plain(text)) {
		put_plain(out, spec, text, strlen(text));
		return;
	}
	while (used + CLEAN_CHARACTER < sizeof(line) && (length = clean_character(&text, clean))) {
		memcpy(line + used, clean, length);
		used += length;
	}
	columns = (int)clean_columns(line, used);
	if (!spec->left)
		pad(out, spec->width - columns);
	fwrite(line, 1, used, out);
	while ((length = clean_character(&text, clean)))
		fwrite(clean, 1, length, out);
	if (spec->left)
		pad(out, spec->width - columns);
}

static void put_string(FILE *out, const struct spec *spec, const char *text)
{
	char copy[SHORT], *part = copy;
	size_t length;

	if (spec->precision < 0) {
		put_padded(out, spec, text);
		return;
	}
	length = strnlen(text, (size_t)spec->precision);
	if (length >= sizeof(copy))
		part = strndup(text, length);
	else
		*(char *)mempcpy(copy, text, length) = '\0';
	put_padded(out, spec, part ? part : "");
	if (part != copy)
		free(part);
}

void print_text(FILE *out, const char *text)
{
	const struct spec plain = {.width = -1, .precision = -1};

	put_string(out, &plain, text);
}

void print_ours(FILE *out, const char *text)
{
	fputs(text, out);
}

bool print_in_color(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");

	return !(no_color && *no_color) && isatty(fileno(out));
}

/* ---- formats ------------------------------------------------------------------------- */

static void put_conversion(FILE *out, const struct spec *spec, va_list *arguments)
{
	char text[2] = "";
	const char *string;

	switch (spec->conversion) {
	case '%':
		putc_unlocked('%', out);
		break;
	case 's':
		string = va_arg(*arguments, const char *);
		put_string(out, spec, string);
		break;
	case 'c':
		text[0] = (char)va_arg(*arguments, int);
		put_string(out, spec, text);
		break;
	default:
		put_number(out, spec, arguments);
	}
}

static void vprint(FILE *out, const char *format, va_list arguments)
{
	struct spec spec;
	va_list copy;

	/* va_list may be an array or a struct: only the address of a copy can be passed on */
	va_copy(copy, arguments);
	for (;;) {
		size_t literal = strcspn(format, "%");

		fwrite(format, 1, literal, out);
		format += literal;
		if (!*format)
			break;
		format = parse(format + 1, &copy, &spec);
		put_conversion(out, &spec, &copy);
	}
	va_end(copy);
}

void print(FILE *out, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprint(out, format, arguments);
	va_end(arguments);
}
