/* SPDX-License-Identifier: Apache-2.0 */
/* Exports of synthetic traces, read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <sqlite3.h>

#include "formats/evidence.h"
#include "formats/write_export.h"
#include "text/clean.h"
#include "unit/build_trace.h"
#include "unit/scratch.h"

#define PATH_SIZE 256

/* Writes the trace to `directory` and exports it; `path` gets the name of what was made. */
static void export_trace(struct build *b, const struct format *format, const char *directory,
			 char path[PATH_SIZE])
{
	const char *source = scratch_path(directory, "trace");
	struct export_target target = {.path = path};
	struct inputs inputs = {0};

	snprintf(path, PATH_SIZE, "%s", scratch_path(directory, "made"));
	assert_int_equal(build_write(b, source), 0);
	assert_int_equal(inputs_add(&inputs, source), 0);
	assert_int_equal(format_export(format, &inputs, &target), 0);
	inputs_free(&inputs);
	build_free(b);
}

/* ---- perfetto ------------------------------------------------------------------ */

static json_t *timeline_of(struct build *b, const char *directory)
{
	char path[PATH_SIZE];
	json_t *root;

	export_trace(b, &format_perfetto, directory, path);
	root = json_load_file(path, 0, NULL);
	assert_non_null(root);
	return root;
}

static json_t *events_of(json_t *root)
{
	return json_object_get(root, "traceEvents");
}

static bool is_phase(const json_t *event, const char *phase)
{
	return !strcmp(json_string_value(json_object_get(event, "ph")), phase);
}

static json_int_t number_of(const json_t *event, const char *key)
{
	return json_integer_value(json_object_get(event, key));
}

static unsigned names_of(json_t *root, json_int_t pid)
{
	unsigned count = 0;
	json_t *event;
	size_t i;

	json_array_foreach (events_of(root), i, event)
		count += is_phase(event, "M") && number_of(event, "pid") == pid;
	return count;
}

/* The parent's handshakes come after its child's. */
static void test_each_process_is_named(void **state)
{
	struct tlstall_handshake *h;
	struct build b;
	json_t *root, *event;
	size_t i;

	build_trace(&b, NULL);
	build_process(&b, 5000, "worker");
	for (unsigned n = 0; n < 4; n++) {
		h = build_handshake(&b, 0x5000 + n, (1 + n) * BUILD_MS);
		h->process = n < 2;
		build_call(&b, h, "SSL_connect", h->start, BUILD_US, 1, BUILD_NONE);
		build_end(&b, h, h->start + BUILD_US, TLSTALL_OUTCOME_OK);
	}
	root = timeline_of(&b, *state);
	json_array_foreach (events_of(root), i, event)
		assert_int_equal(names_of(root, number_of(event, "pid")), 1);
	json_decref(root);
}

/* Somebody set the clock after the handshake: its calls stay within it. */
static void test_calls_lie_within_their_handshake(void **state)
{
	json_int_t begun = (json_int_t)(BUILD_EPOCH_NS + BUILD_MS) / 1000, calls = 0;
	struct tlstall_handshake *h;
	struct build b;
	json_t *root, *event;
	size_t i;

	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	h->start_realtime_ns = BUILD_EPOCH_NS + BUILD_MS;
	build_call(&b, h, "SSL_connect", BUILD_MS, BUILD_MS, -1, BUILD_WANT_READ);
	build_call(&b, h, "SSL_connect", 3 * BUILD_MS, BUILD_MS, 1, BUILD_NONE);
	build_end(&b, h, 4 * BUILD_MS, TLSTALL_OUTCOME_OK);
	b.header->last.realtime_ns += 3600 * BUILD_S;
	root = timeline_of(&b, *state);
	json_array_foreach (events_of(root), i, event) {
		if (is_phase(event, "X"))
			assert_int_equal(number_of(event, "ts"), begun + 2000 * calls++);
	}
	assert_int_equal(calls, 2);
	json_decref(root);
}

/* ---- sqlite ---------------------------------------------------------------------- */

static void assert_row(sqlite3 *db, const char *sql, const char *expected)
{
	sqlite3_stmt *row;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(row, 0), expected);
	sqlite3_finalize(row);
}

/* Of states and functions as well, which a damaged trace may call anything. */
static void test_all_texts_of_a_database_are_clean(void **state)
{
	struct tlstall_handshake *h;
	char path[PATH_SIZE];
	struct build b;
	sqlite3 *db;

	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, 2 * BUILD_MS);
	build_reach(&b, h, "\033[7m\xff", 3 * BUILD_MS);
	build_call(&b, h, "SSL_\033connect", BUILD_MS, BUILD_US, 1, BUILD_NONE);
	build_end(&b, h, 4 * BUILD_MS, TLSTALL_OUTCOME_OK);
	export_trace(&b, &format_sqlite, *state, path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_row(db, "SELECT state FROM states", "\\x1b[7m\\xff");
	assert_row(db, "SELECT fn FROM calls", "SSL_\\x1bconnect");
	/* the call begins before the handshake: nothing is older than that */
	assert_row(db, "SELECT at_ns FROM calls", "0");
	sqlite3_close(db);
}

/* ---- records ------------------------------------------------------------------- */

static void test_a_record_that_lacks_memory(void **state)
{
	const struct format_records *records = format_jsonl.records;
	struct json_line record = {0};
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	void *context;

	(void)state;
	for (unsigned failed = 0; failed < 2; failed++) {
		context = records->begin(out);
		for (unsigned i = 0; i < 2; i++) {
			json_line_begin(&record);
			member_number(&record, "i", i);
			record.failed = failed && !i;
			records->put(context, &record);
		}
		assert_int_equal(records->end(context), failed ? -1 : 0);
	}
	fclose(out);
	assert_string_equal(text, "{\"i\":0}\n{\"i\":1}\n{\"i\":1}\n");
	json_line_free(&record);
	free(text);
}

/* ---- evidence ------------------------------------------------------------------ */

static void test_evidence_is_whole(void **state)
{
	struct verdict verdict = {.evidence_count = VERDICT_EVIDENCE};
	const size_t most = sizeof(verdict.evidence[0]) - 1;
	struct strings strings = {0};
	char text[EVIDENCE_SIZE];

	(void)state;
	assert_string_equal(evidence_text(&(struct verdict){0}, text), "");
	for (unsigned i = 0; i < VERDICT_EVIDENCE; i++)
		memset(verdict.evidence[i], 'a' + (int)i, most);
	evidence_text(&verdict, text);
	assert_int_equal(strlen(text), VERDICT_EVIDENCE * most + (VERDICT_EVIDENCE - 1) * 2);
	assert_string_equal(text + strlen(text) - 3, "hhh");
	/* as ctf keeps it, which gets the worst of bytes */
	memset(text, '\xff', strlen(text));
	assert_int_equal(strlen(strings_text(&strings, strings_any(&strings, text))),
			 CLEAN_LONGER * strlen(text));
	strings_free(&strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evidence_is_whole),
		cmocka_unit_test(test_a_record_that_lacks_memory),
		scratch_unit_test(test_each_process_is_named),
		scratch_unit_test(test_calls_lie_within_their_handshake),
		scratch_unit_test(test_all_texts_of_a_database_are_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
