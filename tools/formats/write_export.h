/* SPDX-License-Identifier: Apache-2.0 */
/* Converts traces, in any format of exports or of records. */
#ifndef TOOLS_FORMATS_WRITE_EXPORT_H
#define TOOLS_FORMATS_WRITE_EXPORT_H

#include "formats/format.h"
#include "report/inputs.h"

/* To its path; NULL or "-": standard output. The exit status; errors were explained. */
int format_export(const struct format *format, const struct inputs *inputs,
		  const struct export_target *target);

#endif
