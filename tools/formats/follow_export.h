/* SPDX-License-Identifier: Apache-2.0 */
/* Exports handshakes of running programs as they end, in any format of rows or records. */
#ifndef TOOLS_FORMATS_FOLLOW_EXPORT_H
#define TOOLS_FORMATS_FOLLOW_EXPORT_H

#include "formats/format.h"

/* Whether the output can be read without its end. */
bool format_streams(const struct format *format);
/*
 * Follows all traces in these directories, existing and new, until SIGTERM or SIGINT; NULL: in all
 * directories that may hold traces. Writes to the target's path; NULL or "-": standard output.
 * Returns the exit status; errors have been reported.
 */
int format_follow(const struct format *format, char **directories,
		  const struct export_target *target);

#endif
