/* SPDX-License-Identifier: Apache-2.0 */
/* Names, titles and advice from causes.def. */
#include "diagnosis/judge.h"

static const struct cause_row rows[CAUSE_COUNT] = {
#define CAUSE(name, fault, title, advice) {#name, FAULT_##fault, title, advice},
#include "diagnosis/causes.def"
#undef CAUSE
};

const struct cause_row *cause_row(enum cause cause)
{
	return &rows[(unsigned)cause < CAUSE_COUNT ? cause : CAUSE_UNKNOWN];
}

const char *cause_name(enum cause cause)
{
	return cause_row(cause)->name;
}

const char *cause_title(enum cause cause)
{
	return cause_row(cause)->title;
}

const char *fault_name(enum fault fault)
{
	static const char *const names[] = {"none", "program",	     "host",   "network",
					    "peer", "configuration", "unknown"};

	return names[(unsigned)fault <= FAULT_UNKNOWN ? fault : FAULT_UNKNOWN];
}

const char *confidence_name(enum confidence confidence)
{
	static const char *const names[] = {"low", "medium", "high"};

	return names[(unsigned)confidence <= CONFIDENCE_HIGH ? confidence : CONFIDENCE_LOW];
}
