/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the data block: a head, then columns. web/data.js describes the format. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/figures.h"
#include "report/packer.h"
#include "report/page_data.h"
#include "text/json.h"
#include "tlstall/vocabulary.h"
#include "words/words.h"
#include "web/assets.h"

static const char *const column_names[PAGE_COLUMNS] = {
#define COLUMN(name, type) #name,
#include "report/page_columns.def"
};

static void set(struct page *page, json_t *object, const char *key, json_t *value)
{
	page->failed |= json_object_set_new(object, key, value) < 0;
}

void page_append(struct page *page, json_t *list, json_t *value)
{
	page->failed |= json_array_append_new(list, value) < 0;
}

/* ---- body ------------------------------------------------------------------------ */

/* Writes a column to the body, and returns [type, offset, count]. Empties the column. */
static json_t *column_place(struct column *column, FILE *body)
{
	long offset = ftell(body);
	size_t count = column->count;
	const char *type = column_write(column, body);

	column_free(column);
	if (!type)
		return NULL;
	return json_pack("[o, I, I]", json_text(type), (json_int_t)offset, (json_int_t)count);
}

static json_t *list_place(struct page *page, struct column *offset, struct column *parts,
			  const char *const names[], unsigned count, FILE *body)
{
	json_t *list = json_object();

	page->failed |= column_add(offset, (double)parts[0].count) < 0;
	set(page, list, "offset", column_place(offset, body));
	for (unsigned i = 0; i < count; i++)
		set(page, list, names[i], column_place(&parts[i], body));
	return list;
}

static json_t *place_columns(struct page *page, uint64_t base, FILE *body)
{
	json_t *columns = json_object();
	struct column start = {.type = COLUMN_EXACT};

	for (unsigned i = 0; i < PAGE_COLUMNS; i++)
		set(page, columns, column_names[i], column_place(&page->columns[i], body));
	for (size_t i = 0; i < page->report->count; i++)
		page->failed |=
			column_add(&start, (double)(page->report->rows[i].start_ns - base)) < 0;
	set(page, columns, "start", column_place(&start, body));
	return columns;
}

static json_t *place_lists(struct page *page, FILE *body)
{
	static const char *const calls[] = {"at", "dur", "fn", "ret", "err", "state"};
	static const char *const states[] = {"id", "at"};

	return json_pack(
		"{s:o, s:o}", "calls",
		list_place(page, &page->call_offset, page->calls, calls, PAGE_CALL_PARTS, body),
		"states",
		list_place(page, &page->state_offset, page->states, states, PAGE_STATE_PARTS,
			   body));
}

static json_t *place_evidence(struct page *page, FILE *body)
{
	json_t *row, *at;
	long text;

	page->failed |= fflush(page->evidence) ||
			(size_t)ftell(page->evidence) != page->evidence_size ||
			column_add(&page->evidence_at, (double)page->evidence_size) < 0;
	row = column_place(&page->evidence_row, body);
	at = column_place(&page->evidence_at, body);
	text = ftell(body);
	page->failed |=
		fwrite(page->evidence_text, 1, page->evidence_size, body) != page->evidence_size;
	return json_pack("{s:o, s:o, s:I}", "row", row, "at", at, "text", (json_int_t)text);
}

/* ---- head ------------------------------------------------------------------------ */

static json_t *texts_json(struct page *page, const struct strings *strings)
{
	json_t *list = json_array();

	page->failed |= strings->failed;
	for (uint32_t id = 0; id < strings->count; id++)
		page_append(page, list, json_text(strings_text(strings, id)));
	return list;
}

/* Without the empty text that every dictionary begins with. */
static json_t *lines_json(struct page *page, const struct strings *strings)
{
	json_t *list = texts_json(page, strings);

	json_array_remove(list, 0);
	return list;
}

static json_t *causes_json(struct page *page)
{
	json_t *list = json_array();

	for (int i = 0; i < CAUSE_COUNT; i++)
		page_append(page, list,
			    json_pack("{s:o, s:o}", "name", json_text(cause_name((enum cause)i)),
				      "title", json_text(cause_title((enum cause)i))));
	return list;
}

static json_t *faults_json(struct page *page)
{
	json_t *list = json_array();

	for (int i = FAULT_NONE; i <= FAULT_UNKNOWN; i++)
		page_append(page, list, json_text(fault_name((enum fault)i)));
	return list;
}

static json_t *errors_json(struct page *page)
{
	json_t *list = json_array();

	for (uint8_t i = TLSTALL_ERROR_NONE; i <= TLSTALL_ERROR_WANT_RETRY_VERIFY; i++)
		page_append(page, list, json_text(word_error_short(i)));
	return list;
}

static json_t *stacks_json(struct page *page)
{
	const struct report *report = page->report;
	json_t *list = json_array();

	for (uint32_t i = 0; i < report->codes.count; i++) {
		const struct code *code = &report->codes.list[i];
		json_t *frames = json_array();

		for (uint32_t f = 0; f < code->count; f++)
			page_append(page, frames,
				    json_text(strings_text(&report->strings, code->frames[f])));
		page_append(page, list, frames);
	}
	return list;
}

static json_t *sources_json(struct page *page)
{
	const struct report *report = page->report;
	json_t *list = json_array();

	for (size_t i = 0; i < report->source_count; i++)
		page_append(page, list, json_text(report->sources[i].label));
	return list;
}

static json_t *groups_json(struct page *page)
{
	const struct report *report = page->report;
	struct groups groups;
	json_t *list = json_array();

	page->failed |= groups_make(report, GROUP_TROUBLE, &groups) < 0;
	for (size_t i = 0; i < groups.count; i++) {
		const struct group *group = &groups.list[i];
		const struct report_row *row = group->worst;

		page_append(page, list,
			    json_pack("{s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "count",
				      (json_int_t)group->count, "cause", row->cause, "fault",
				      row->fault, "peer", (json_int_t)row->peer, "path",
				      (json_int_t)row->site, "p50_ns", (json_int_t)group->time.p50,
				      "p99_ns", (json_int_t)group->time.p99, "worst_ns",
				      (json_int_t)group->time.max, "total_ns",
				      (json_int_t)group->total_ns));
	}
	groups_free(&groups);
	return list;
}

static json_t *meta_json(struct page *page, uint64_t base)
{
	struct report *report = page->report;
	json_t *hosts = lines_json(page, &report->hosts);
	const char *host = json_string_value(json_array_get(hosts, 0));
	json_t *meta = json_pack("{s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "host",
				 json_text(!host			 ? ""
					   : json_array_size(hosts) == 1 ? host
									 : "several hosts"),
				 "base_ms", (double)base / 1e6, "sources", sources_json(page),
				 "notes", lines_json(page, &report->notes), "causes",
				 causes_json(page), "faults", faults_json(page), "errors",
				 errors_json(page), "versions", texts_json(page, &page->versions),
				 "stacks", stacks_json(page), "groups", groups_json(page));

	json_decref(hosts);
	return meta;
}

/* ---- block ------------------------------------------------------------------------- */

static int pack(FILE *out, const char *head, const char *body, size_t body_size)
{
	static const char blanks[8] = "        ";
	uint64_t size = strlen(head), padded = (size + 7) & ~7ull;
	struct packer *packer = packer_start(out);

	packer_add(packer, &padded, sizeof(padded));
	packer_add(packer, head, size);
	packer_add(packer, blanks, padded - size);
	packer_add(packer, body, body_size);
	return packer_end(packer);
}

static char *make_head(struct page *page, FILE *body)
{
	uint64_t last, base = report_span(page->report, &last);
	json_t *columns = place_columns(page, base, body);
	json_t *lists = place_lists(page, body);
	json_t *evidence = place_evidence(page, body);
	json_t *head = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "columns", columns, "lists",
				 lists, "evidence", evidence, "meta", meta_json(page, base),
				 "strings", texts_json(page, &page->report->strings), "names",
				 texts_json(page, &page->names));
	char *text;

	errno = 0;
	text = head ? json_dumps(head, JSON_COMPACT) : NULL;
	/* jansson may go on without memory, and leave out parts of the text */
	page->failed |= errno == ENOMEM;
	json_decref(head);
	return text;
}

static void write_data(void *context, FILE *out)
{
	struct page *page = context;
	char *bytes = NULL, *head;
	size_t size = 0;
	FILE *body = open_memstream(&bytes, &size);
	long end;

	if (!body)
		return;
	head = make_head(page, body);
	fputs("<script type=\"text/plain\" id=\"data\">", out);
	end = ftell(body);
	/* a stream into memory does not say that it had none */
	page->failed |= fclose(body) != 0 || !head || end < 0 || size != (size_t)end;
	page->complete = !page->failed && pack(out, head, bytes, size) == 0;
	fputs("</script>", out);
	free(head);
	free(bytes);
}

int page_write(struct page *page, FILE *out)
{
	int result = web_page_write(out, write_data, page);

	if (result == 0 && !page->complete) {
		errno = ENOMEM;
		result = -1;
	}
	return result;
}
