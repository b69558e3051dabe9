/* SPDX-License-Identifier: Apache-2.0 */
/* The table of formats. See format.h. */
#include "formats/format.h"

#include <string.h>

#include "live/looked_text.h"
#include "message.h"
#include "view/record.h"

static const struct format *const formats[] = {
#define FORMAT(name) &format_##name,
#include "formats/formats.def"
#undef FORMAT
};
#define FORMATS (sizeof(formats) / sizeof(*formats))

const struct format *format_words(void)
{
	return formats[0];
}

/* "text, jsonl or html" */
static void list_names(unsigned kinds, char *text, size_t size)
{
	const char *names[FORMATS];
	size_t count = 0, used = 0;

	for (size_t i = 0; i < FORMATS; i++)
		if (formats[i]->kind & kinds)
			names[count++] = formats[i]->name;
	for (size_t i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s",
					 !i		  ? ""
					 : i + 1 == count ? " or "
							  : ", ",
					 names[i]);
}

int format_parse(const struct command *command, unsigned kinds, const char *text,
		 const struct format **out)
{
	char names[256] = "";

	for (size_t i = 0; i < FORMATS; i++) {
		if ((formats[i]->kind & kinds) && !strcmp(formats[i]->name, text)) {
			*out = formats[i];
			return 0;
		}
	}
	list_names(kinds, names, sizeof(names));
	return usage_error(command, "unknown format '%s' (expected %s)", text, names);
}

void format_put_looked(const struct format *format, void *records, const struct looked *looked,
		       struct symbols *symbols)
{
	struct json_line record = {0};

	looked_record(&record, looked);
	format->records->put(records, &record);
	for (unsigned i = 0; i < looked->count; i++) {
		record_handshake(&record, looked->subjects[i]);
		record_stack(&record, looked->subjects[i], symbols);
		format->records->put(records, &record);
	}
	json_line_free(&record);
}
