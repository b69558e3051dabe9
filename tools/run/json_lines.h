/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as JSON, a line each. In a process that makes records for this alone: all
 * that jansson allocates from the begin on is for one line, and forgotten after it.
 */
#ifndef TOOLS_RUN_JSON_LINES_H
#define TOOLS_RUN_JSON_LINES_H

#include <jansson.h>
#include <stdio.h>

void json_lines_begin(void);
/* Takes the record over; NULL: there was no memory for it. */
void json_lines_put(FILE *out, json_t *record);
void json_lines_end(void);

#endif
