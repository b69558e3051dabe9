/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of an answer, their names, and the answer as one line. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/findings.h"

#define FINDINGS_MAX 64 /* of one list */

const char *check_way_name(enum check_way way)
{
	static const char *const names[] = {
#define CHECK_NAME(id, name) name,
		CHECK_WAYS(CHECK_NAME)};

	return (size_t)way < sizeof(names) / sizeof(*names) ? names[way] : "";
}

const char *check_reason_name(enum check_reason reason)
{
	static const char *const names[] = {CHECK_REASONS(CHECK_NAME)
#undef CHECK_NAME
	};

	return (size_t)reason < sizeof(names) / sizeof(*names) ? names[reason] : "";
}

char *keep_text(struct check_result *result, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	result->starved |= text && !copy;
	return copy;
}

static void add(struct check_result *result, struct check_findings *findings, int kind,
		const char *file, const char *format, va_list arguments)
{
	struct check_finding *grown;
	char *text;

	if (vasprintf(&text, format, arguments) < 0) {
		result->starved = true;
		return;
	}
	for (size_t i = 0; i < findings->count; i++)
		if (findings->list[i].kind == kind && !strcmp(findings->list[i].text, text))
			goto drop;
	if (findings->count == FINDINGS_MAX)
		goto drop;
	grown = realloc(findings->list, (findings->count + 1) * sizeof(*grown));
	result->starved |= !grown;
	if (!grown)
		goto drop;
	findings->list = grown;
	grown[findings->count++] = (struct check_finding){
		.kind = kind, .text = text, .file = keep_text(result, file)};
	return;
drop:
	free(text);
}

#define ADD(list, kind)                                                                            \
	do {                                                                                       \
		va_list arguments;                                                                 \
		va_start(arguments, format);                                                       \
		add(result, list, (int)(kind), file, format, arguments);                                  \
		va_end(arguments);                                                                 \
	} while (0)

void add_way(struct check_result *result, enum check_way way, const char *file, const char *format,
	     ...)
{
	ADD(&result->ways, way);
}

void add_reason(struct check_result *result, enum check_reason reason, const char *file,
		const char *format, ...)
{
	ADD(&result->reasons, reason);
}

void add_note(struct check_result *result, const char *file, const char *format, ...)
{
	ADD(&result->notes, 0);
}

int set_error(struct check_result *result, int error, const char *format, ...)
{
	va_list arguments;

	if (result->error)
		return error;
	va_start(arguments, format);
	if (vasprintf(&result->error, format, arguments) < 0)
		result->error = NULL;
	va_end(arguments);
	return error;
}

static void free_findings(struct check_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->list[i].text);
		free(findings->list[i].file);
	}
	free(findings->list);
}

void check_result_free(struct check_result *result)
{
	free_findings(&result->ways);
	free_findings(&result->reasons);
	free_findings(&result->notes);
	free(result->target);
	free(result->program);
	free(result->libssl);
	free(result->trace);
	free(result->error);
	*result = (struct check_result){0};
}

const char *check_verdict(const struct check_result *result)
{
	return result->seen    ? "can be traced"
	       : result->calls ? "only its calls can be traced"
			       : "cannot be traced";
}

char *check_summary(const struct check_result *result, char *text, size_t size)
{
	const struct check_findings *why = result->seen ? &result->ways : &result->reasons;
	const char *target = result->target ? result->target : "?";

	if (result->error)
		snprintf(text, size, "%s", result->error);
	else
		snprintf(text, size, "%s: %s%s%s", target, check_verdict(result),
			 why->count ? ": " : "", why->count ? why->list[0].text : "");
	return text;
}
