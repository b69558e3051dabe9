/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/columns_of.h"

#include "formats/evidence.h"
#include "symbols/origin.h"
#include "view/record.h"
#include "words/words.h"

#define TEXT(name, value) {#name, EXPORT_TEXT},
#define NUMBER(name, known, value) {#name, EXPORT_NUMBER},
const struct export_column columns[COLUMNS] = {
#include "formats/columns.def"
};
#undef TEXT
#undef NUMBER

const struct column_value *columns_of(const struct subject *subject, const char *trace_label)
{
	static struct column_value values[COLUMNS];
	static char words[COLUMNS][WORD_SIZE], long_text[EVIDENCE_SIZE];
	const struct subject *s = subject;
	const struct tlstall_handshake *h = &s->h;
	const struct verdict *v = s->verdict_count ? &s->verdicts[0] : NULL;
	const struct time_split *t = &s->facts.time;
	unsigned at = 0;
	char *word;

	/* each column has a buffer of its own */
#define TEXT(name, value)                                                                          \
	word = words[at];                                                                          \
	values[at++].text = (value);
#define NUMBER(name, is_known, value)                                                              \
	values[at++] = (struct column_value){.known = (is_known), .number = (uint64_t)(value)};
#include "formats/columns.def"
#undef TEXT
#undef NUMBER
	return values;
}
