/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's pages by HTTP. Runs in the caller's loop: no thread, no lock. */
#ifndef TOOLS_SERVE_HTTP_H
#define TOOLS_SERVE_HTTP_H

#include "serve/agent.h"
#include "serve/listen.h"

struct http;

/* `token`: who asks has to know it; NULL: nobody has to. NULL with errno. Takes over the descriptor. */
struct http *http_open(struct agent *agent, const struct listening *listening, const char *token);
/* To be polled for reading, and how many milliseconds that may take; -1: any. */
int http_descriptor(const struct http *http);
int http_timeout(const struct http *http);
/* Serves what has come. */
void http_run(struct http *http);
/* The agent has polled: live pages are told what is new. */
void http_tell(struct http *http);
void http_close(struct http *http);

#endif
