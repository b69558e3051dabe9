/* SPDX-License-Identifier: Apache-2.0 */
/* Serves the agent's pages over HTTP, in the caller's loop: no thread, no lock. */
#ifndef TOOLS_SERVE_HTTP_H
#define TOOLS_SERVE_HTTP_H

#include "serve/agent.h"
#include "serve/listen.h"

struct http;

/* `token`: required of clients; NULL: none. Takes over the descriptor. NULL with errno. */
struct http *http_open(struct agent *agent, const struct listening *listening, const char *token);
/* The descriptor to poll for reading, and for at most how many milliseconds; -1: no limit. */
int http_descriptor(const struct http *http);
int http_timeout(const struct http *http);
/* Serves the requests that have arrived. */
void http_run(struct http *http);
/* Sends live pages what is new after the agent has polled. */
void http_tell(struct http *http);
void http_close(struct http *http);

#endif
