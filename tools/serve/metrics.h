/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows as Prometheus reads it: the text format, version 0.0.4. */
#ifndef TOOLS_SERVE_METRICS_H
#define TOOLS_SERVE_METRICS_H

#include <stdio.h>

#include "serve/agent.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_write(struct agent *agent, FILE *out);

#endif
