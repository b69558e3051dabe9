/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of ps and top: one row of fields.c each. */
#ifndef TOOLS_LIVE_FIELDS_H
#define TOOLS_LIVE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "view/subject.h"

#define FIELD_SIZE 96
#define LIVE_FIELDS_MAX 16

struct field {
	const char *name;
	int width;  /* width in top, which must fit 80 columns; 0: takes what is left */
	int wide;   /* the same, where there are 120 */
	int screen; /* top leaves it out where there are fewer columns than this */
	bool right;
	bool whole; /* never cut: others give way in top */
	void (*text)(const struct subject *subject, char buffer[FIELD_SIZE]);
	/* <0: `a` first, as sorted by this field */
	int (*compare)(const struct subject *a, const struct subject *b);
};

extern const struct field live_fields[];
extern const unsigned live_field_count;

#endif
