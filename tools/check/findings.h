/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the lists of an answer. */
#ifndef TOOLS_CHECK_FINDINGS_H
#define TOOLS_CHECK_FINDINGS_H

#include "check/check.h"

/* Each adds one line once: a second one of the same kind and text is dropped. `file` may be NULL. */
void add_way(struct check_result *result, enum check_way way, const char *file,
	     const char *format, ...) __attribute__((format(printf, 4, 5)));
void add_reason(struct check_result *result, enum check_reason reason, const char *file,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
void add_note(struct check_result *result, const char *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A copy of a text of the answer; `text` NULL: NULL. */
char *keep_text(struct check_result *result, const char *text);

/* Sets result->error and returns `error`, a negative errno. */
int set_error(struct check_result *result, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
