/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON object as text, written member by member without a tree of values: lines by the
 * thousand a second. Where speed does not matter, jansson makes JSON (text/json.h).
 *
 *	struct json_line line = {0};
 *	json_line_begin(&line);
 *	member_text(&line, "type", "lost");
 *	member_array(&line, "numbers");
 *	member_number(&line, NULL, 1);
 *	member_end(&line);
 *	json_line_end(&line);
 *	fwrite(line.text, 1, line.length, out);
 *	json_line_free(&line);
 */
#ifndef TOOLS_TEXT_JSON_LINE_H
#define TOOLS_TEXT_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_line {
	char *text;
	size_t length, room; /* bytes */
	uint64_t arrays;     /* a 1, then a bit for each open level: 1 an array, 0 an object */
	bool failed;	     /* out of memory: what is there is not whole */
};

/* Forgets what was there, keeps its memory. */
void json_line_begin(struct json_line *line);
/* Closes all that is open. */
void json_line_end(struct json_line *line);
/* Adds a newline, which is nowhere else in it. */
void json_line_break(struct json_line *line);
void json_line_free(struct json_line *line);

/*
 * `key`: plain ASCII without a quotation mark; NULL within an array. Text may hold any bytes: it
 * is cleaned (text/clean.h), and so valid UTF-8; NULL counts as "".
 */
void member_text(struct json_line *line, const char *key, const char *text);
void member_number(struct json_line *line, const char *key, uint64_t number);
void member_signed(struct json_line *line, const char *key, int64_t number);
void member_flag(struct json_line *line, const char *key, bool flag);
/* Up to member_end() members go into it. */
void member_object(struct json_line *line, const char *key);
void member_array(struct json_line *line, const char *key);
void member_end(struct json_line *line);

#endif
