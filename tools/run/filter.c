/* SPDX-License-Identifier: Apache-2.0 */
#include "run/filter.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "tlstall/vocabulary.h"
#include "words/words.h"

#define ERROR_PREFIX "SSL_ERROR_"

struct filter_term {
	bool (*fits)(const struct filter_term *term, const struct filter_call *call);
	bool negated;
	char *text;	 /* names, or an error message */
	uint64_t number; /* pid or nanoseconds */
};

/* ---- what fits -------------------------------------------------------------- */

/* A name may end in '*'. */
static bool name_fits(const char *name, size_t length, const char *function)
{
	if (length && name[length - 1] == '*')
		return !strncmp(name, function, length - 1);
	return strlen(function) == length && !strncmp(name, function, length);
}

static bool fits_function(const struct filter_term *term, const struct filter_call *call)
{
	for (const char *name = term->text; *name; name += strspn(name, ",")) {
		size_t length = strcspn(name, ",");

		if (name_fits(name, length, call->function))
			return true;
		name += length;
	}
	return false;
}

static bool is_known(const char *name, size_t length, const char *const *functions)
{
	for (; *functions; functions++) {
		if (name_fits(name, length, *functions))
			return true;
	}
	return false;
}

void filter_tell_unknown(const struct filter *filter, const char *const *functions,
			 void (*tell)(const char *name, const char *near))
{
	char text[64];

	for (size_t i = 0; i < filter->count; i++) {
		const char *name = filter->terms[i].fits == fits_function ? filter->terms[i].text : "";

		for (size_t length; *name; name += length + strspn(name + length, ",")) {
			length = strcspn(name, ",");
			if (is_known(name, length, functions))
				continue;
			snprintf(text, sizeof(text), "%.*s", (int)length, name);
			tell(text, nearest(text, functions));
		}
	}
}

static const char *without_prefix(const char *error)
{
	size_t length = strlen(ERROR_PREFIX);

	return strncasecmp(error, ERROR_PREFIX, length) ? error : error + length;
}

static bool fits_error(const struct filter_term *term, const struct filter_call *call)
{
	return !strcasecmp(without_prefix(term->text), without_prefix(call->error));
}

static bool is_error(const char *name)
{
	for (uint8_t error = 0; error <= TLSTALL_ERROR_WANT_RETRY_VERIFY; error++) {
		if (!strcasecmp(without_prefix(name), word_error_short(error)))
			return true;
	}
	return false;
}

static bool fits_pid(const struct filter_term *term, const struct filter_call *call)
{
	return term->number == call->pid;
}

static bool fits_slow(const struct filter_term *term, const struct filter_call *call)
{
	return call->duration_ns > term->number;
}

bool filter_fits(const struct filter *filter, const struct filter_call *call)
{
	for (size_t i = 0; i < filter->count; i++) {
		const struct filter_term *term = &filter->terms[i];

		if (term->fits(term, call) == term->negated)
			return false;
	}
	return true;
}

/* ---- expressions -------------------------------------------------------------- */

static bool parse_pid(const char *text, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && *out <= INT32_MAX;
}

/* A number and a unit; seconds if there is no unit. */
static bool parse_duration(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
	char *end;
	double value = strtod(text, &end);

	if (end == text || !isdigit((unsigned char)*text))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].unit) || value * units[i].ns > 1e18)
			continue;
		*out = (uint64_t)(value * units[i].ns);
		return true;
	}
	return false;
}

static bool is_names(const char *text)
{
	return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					  "0123456789_,*")] == '\0';
}

/* Returns the operator and the value after the key: "!=none" for "error!=none". */
static const char *after(const char *expression, const char *key)
{
	size_t length = strlen(key);

	return strncmp(expression, key, length) ? NULL : expression + length;
}

static int wrong(char *error, size_t size, const char *what)
{
	snprintf(error, size, "%s", what);
	return -1;
}

static int parse_term(struct filter_term *term, const char *expression, char *error, size_t size)
{
	const char *rest;

	if ((rest = after(expression, "error!=")) || (rest = after(expression, "error="))) {
		term->fits = fits_error;
		term->negated = expression[strlen("error")] == '!';
		term->text = is_error(rest) ? strdup(rest) : NULL;
		return term->text ? 0
				  : wrong(error, size,
					  "expected an error name, such as none or WANT_READ");
	}
	if ((rest = after(expression, "pid="))) {
		term->fits = fits_pid;
		return parse_pid(rest, &term->number) ? 0
						      : wrong(error, size, "expected a process ID");
	}
	if ((rest = after(expression, "slow>"))) {
		term->fits = fits_slow;
		return parse_duration(rest, &term->number)
			       ? 0
			       : wrong(error, size, "expected a duration, such as 10ms or 1.5s");
	}
	if (!is_names(expression))
		return wrong(error, size,
			     "expected function names, error=, error!=, pid= or slow>");
	term->fits = fits_function;
	term->text = strdup(expression);
	return term->text ? 0 : wrong(error, size, "out of memory");
}

int filter_add(struct filter *filter, const char *expression, char *error, size_t size)
{
	struct filter_term term = {0};
	struct filter_term *terms;

	if (parse_term(&term, expression, error, size))
		return -1;
	terms = realloc(filter->terms, (filter->count + 1) * sizeof(*terms));
	if (!terms) {
		free(term.text);
		return wrong(error, size, "out of memory");
	}
	terms[filter->count++] = term;
	filter->terms = terms;
	return 0;
}

void filter_free(struct filter *filter)
{
	for (size_t i = 0; i < filter->count; i++)
		free(filter->terms[i].text);
	free(filter->terms);
	*filter = (struct filter){0};
}
