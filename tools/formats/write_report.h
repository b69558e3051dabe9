/* SPDX-License-Identifier: Apache-2.0 */
/* Reads traces and writes a report of them, in any format. */
#ifndef TOOLS_FORMATS_WRITE_REPORT_H
#define TOOLS_FORMATS_WRITE_REPORT_H

#include "formats/format.h"
#include "report/inputs.h"

/* To the file `path`; NULL or "-": standard output. The exit status; errors were explained. */
int format_report(const struct format *format, const struct format_options *options,
		  const struct inputs *inputs, const char *path);

#endif
