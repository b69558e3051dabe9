/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes of programs that run, in any format of rows or records, as they end. */
#ifndef TOOLS_FORMATS_FOLLOW_EXPORT_H
#define TOOLS_FORMATS_FOLLOW_EXPORT_H

#include "formats/format.h"

/* Whether the format has no end that a reader needs. */
bool format_streams(const struct format *format);
/*
 * From now until SIGTERM or SIGINT, of all traces that lie or appear in these directories; NULL:
 * in all where traces may lie. To its path; NULL or "-": standard output. The exit status; errors
 * were explained.
 */
int format_follow(const struct format *format, char **directories,
		  const struct export_target *target);

#endif
