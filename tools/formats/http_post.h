/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends requests to an HTTP server, one at a time. Each is repeated at longer and longer intervals
 * until the server accepts it, or refuses it for good; which one, is chosen anew each time. libcurl is loaded when one is opened.
 */
#ifndef TOOLS_FORMATS_HTTP_POST_H
#define TOOLS_FORMATS_HTTP_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_post;

enum http_result {
	HTTP_NOTHING, /* nothing new is known, or the server cannot take it now */
	HTTP_TAKEN,
	HTTP_REFUSED,
	HTTP_DOUBTED, /* cannot take it now, or refuses it */
};

struct http_target {
	const char *url;
	const char *whom, *what; /* for messages: "the collector", "spans" */
	/* What a status means that is not 200 to 299. */
	enum http_result (*judge)(long status);
	/* Optional: how many items an answer that took the batch nevertheless refuses; writes why. */
	uint64_t (*refused)(const void *answer, size_t answer_size, char *why, size_t size);
};

bool http_is_url(const char *text); /* http or https */

/* NULL with errno; EINVAL: not a URL. */
struct http_post *http_post_open(const struct http_target *target);
/* "Name: value", for every request. */
void http_post_header(struct http_post *post, const char *text);
/* Whether nothing is being sent, and it is time to send something. */
bool http_post_is_free(const struct http_post *post);
/* `bytes` must stay until the result is known, or, after a failure, until the next start. */
void http_post_start(struct http_post *post, const void *bytes, size_t size);
enum http_result http_post_step(struct http_post *post);
/* Waits for something to happen, at most this long. */
void http_post_wait(struct http_post *post, int ms);
/* The last answer: "HTTP status 400: Code: 27 ..." */
const char *http_post_answer(const struct http_post *post);
/* How many items of a batch that was taken were refused; http_post_answer() then tells why. */
uint64_t http_post_refused(struct http_post *post);
void http_post_close(struct http_post *post);

#endif
