/* SPDX-License-Identifier: Apache-2.0 */
/* A running process: what hangs in it now, then its calls, as for a program that was started. */
#ifndef TOOLS_RUN_ATTACHED_H
#define TOOLS_RUN_ATTACHED_H

#include "run/options.h"

/* The exit status, after a reason was explained. */
int attached_run(const struct run_options *options);

#endif
