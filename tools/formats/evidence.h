/* SPDX-License-Identifier: Apache-2.0 */
/* The evidence of a verdict as one text, for formats that have one field for it. */
#ifndef TOOLS_FORMATS_EVIDENCE_H
#define TOOLS_FORMATS_EVIDENCE_H

#include "diagnosis/diagnosis.h"

/* All of it, with a separator after each part. */
#define EVIDENCE_SIZE (VERDICT_EVIDENCE * (sizeof(((struct verdict *)0)->evidence[0]) + 2))

const char *evidence_text(const struct verdict *verdict, char text[EVIDENCE_SIZE]);

#endif
