/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/evidence.h"

#include <stdio.h>

const char *evidence_text(const struct verdict *verdict, char text[EVIDENCE_SIZE])
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < verdict->evidence_count && i < VERDICT_EVIDENCE; i++)
		used += (size_t)snprintf(text + used, EVIDENCE_SIZE - used, "%s%s", i ? "; " : "",
					 verdict->evidence[i]);
	return text;
}
