/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request after the other to a server by HTTP: each again and again, at longer and longer
 * intervals, until the server takes it or refuses it for good. libcurl is loaded when one is opened.
 */
#ifndef TOOLS_FORMATS_HTTP_POST_H
#define TOOLS_FORMATS_HTTP_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_post;

struct http_target {
	const char *url;
	const char *whom, *what; /* for messages: "the collector", "spans" */
	/* Whether a server that answers this (not 200 to 299) would never take it. */
	bool (*refuses)(long status);
};

enum http_result {
	HTTP_NOTHING, /* new is known */
	HTTP_TAKEN,
	HTTP_REFUSED,
};

/* NULL with errno; EINVAL: no URL of http or https. */
struct http_post *http_post_open(const struct http_target *target);
/* "Name: value", of every request. */
void http_post_header(struct http_post *post, const char *text);
/* Whether nothing is being sent, and it is time to send something. */
bool http_post_is_free(const struct http_post *post);
/* `bytes` must stay until a result is known, or the next start after a failure. */
void http_post_start(struct http_post *post, const void *bytes, size_t size);
enum http_result http_post_step(struct http_post *post);
/* For something to happen, for so long at most. */
void http_post_wait(struct http_post *post, int ms);
/* What the last answer was: "HTTP status 400: Code: 27 ..." */
const char *http_post_answer(const struct http_post *post);
void http_post_close(struct http_post *post);

#endif
