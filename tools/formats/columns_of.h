/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of columns.def, for formats of rows. */
#ifndef TOOLS_FORMATS_COLUMNS_OF_H
#define TOOLS_FORMATS_COLUMNS_OF_H

#include "report/gather.h"

enum export_type {
	EXPORT_TEXT,
	EXPORT_NUMBER,
};

struct export_column {
	const char *name;
	enum export_type type;
};

/* `text` may hold any bytes; NULL or "": not known. */
struct column_value {
	bool known; /* of a number */
	uint64_t number;
	const char *text;
};

#define TEXT(name, value) +1
#define NUMBER(name, known, value) +1
enum {
	COLUMNS = 0
#include "formats/columns.def"
};
#undef TEXT
#undef NUMBER

extern const struct export_column columns[COLUMNS];

/* The values of one handshake, valid until the next call. */
const struct column_value *columns_of(const struct subject *subject, const char *trace_label);

#endif
