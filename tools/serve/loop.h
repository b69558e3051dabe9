/* SPDX-License-Identifier: Apache-2.0 */
/* Follows traces and answers, until SIGTERM or SIGINT. */
#ifndef TOOLS_SERVE_LOOP_H
#define TOOLS_SERVE_LOOP_H

#include "serve/agent.h"

struct serve_options {
	const char *listen;
	const char *token; /* a file; NULL: none */
	struct agent_options agent;
};

/* The exit status. */
int serve(const struct serve_options *options);

#endif
