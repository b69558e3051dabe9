/* SPDX-License-Identifier: Apache-2.0 */
/* The report's figures, and how its data gets into the page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include <zlib.h>

#include "diagnosis/diagnosis.h"
#include "report/calls.h"
#include "report/columns.h"
#include "report/figures.h"
#include "report/packer.h"
#include "report/report.h"
#include "report/strings.h"
#include "unit/build_trace.h"

/* ---- rows -------------------------------------------------------------------- */

static struct report_row *add_row(struct report *report, uint64_t duration, unsigned outcome)
{
	struct report_row *row = report_add(report);

	assert_non_null(row);
	row->duration_ns = duration;
	row->outcome = (uint8_t)outcome;
	return row;
}

/* The innermost function of a path. */
static uint32_t site_id(struct strings *strings, const char *path)
{
	char site[64];

	snprintf(site, sizeof(site), "%.*s", (int)strcspn(path, " "), path);
	return strings_id(strings, site);
}

static void add_trouble(struct report *report, uint8_t cause, const char *peer, const char *path,
			uint64_t duration)
{
	struct report_row *row = add_row(report, duration, TLSTALL_OUTCOME_FAILED);

	row->cause = cause;
	row->peer = strings_id(&report->strings, peer);
	row->path = strings_id(&report->strings, path);
	row->site = site_id(&report->strings, path);
	row->flags = ROW_TROUBLED;
}

static void percentiles_of(const uint64_t *times, size_t count, struct percentiles *out)
{
	struct report report = {0};
	struct groups groups;

	for (size_t i = 0; i < count; i++)
		add_row(&report, times[i], TLSTALL_OUTCOME_OK);
	assert_int_equal(groups_make(&report, GROUP_ALL_OK, &groups), 0);
	assert_int_equal(groups.count, 1);
	assert_int_equal(groups.list[0].count, count);
	*out = groups.list[0].time;
	groups_free(&groups);
	report_free(&report);
}

static void test_percentiles_are_measured_values(void **state)
{
	uint64_t hundred[100];
	struct percentiles p;

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		hundred[i] = 100 - i; /* not in order */
	percentiles_of(hundred, 100, &p);
	assert_int_equal(p.p50, 50);
	assert_int_equal(p.p90, 90);
	assert_int_equal(p.p99, 99);
	assert_int_equal(p.max, 100);
}

static void test_percentiles_of_few(void **state)
{
	struct percentiles p;

	(void)state;
	percentiles_of((const uint64_t[]){7}, 1, &p);
	assert_int_equal(p.p50, 7);
	assert_int_equal(p.max, 7);
	percentiles_of((const uint64_t[]){30, 10, 20}, 3, &p);
	assert_int_equal(p.p50, 20);
	assert_int_equal(p.p90, 30);
	assert_int_equal(p.p99, 30);
	percentiles_of((const uint64_t[]){UINT64_MAX, 0}, 2, &p);
	assert_int_equal(p.p50, 0);
	assert_true(p.max == UINT64_MAX);
}

static void test_no_rows_no_groups(void **state)
{
	const enum grouping all[] = {GROUP_ALL_OK, GROUP_TROUBLE, GROUP_SESSION, GROUP_RETRIES};
	struct report report = {0};
	struct groups groups;
	uint64_t last;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(groups_make(&report, all[i], &groups), 0);
		assert_int_equal(groups.count, 0);
		groups_free(&groups);
	}
	assert_int_equal(report_span(&report, &last), 0);
}

/* ---- groups -------------------------------------------------------------------- */

static void test_trouble_by_cause_peer_and_site(void **state)
{
	struct report report = {0};
	struct groups groups;

	(void)state;
	/* one cause is one group, whatever path the event loop took */
	add_trouble(&report, 5, "10.0.0.1:443", "connect < main", 100);
	add_trouble(&report, 5, "10.0.0.1:443", "connect < on_readable < loop", 200);
	add_trouble(&report, 5, "10.0.0.1:443", "connect < on_writable < loop", 300);
	add_trouble(&report, 5, "10.0.0.2:443", "connect < main", 900);
	add_trouble(&report, 5, "10.0.0.1:443", "other < main", 50);
	add_trouble(&report, 6, "10.0.0.1:443", "connect < main", 60);
	add_row(&report, 1, TLSTALL_OUTCOME_OK);
	assert_int_equal(groups_make(&report, GROUP_TROUBLE, &groups), 0);
	assert_int_equal(groups.count, 4);
	assert_int_equal(groups.list[0].count, 3);
	assert_int_equal(groups.list[0].total_ns, 600);
	assert_int_equal(groups.list[0].time.p50, 200);
	assert_int_equal(groups.list[0].worst->duration_ns, 300);
	/* of equal size: the slower one first */
	assert_int_equal(groups.list[1].worst->duration_ns, 900);
	assert_int_equal(groups.list[3].worst->duration_ns, 50);
	groups_free(&groups);
	report_free(&report);
}

static void test_sessions_count_outcomes(void **state)
{
	struct report report = {0};
	struct groups groups;

	(void)state;
	for (unsigned outcome = 0; outcome < 4; outcome++)
		add_row(&report, 10, outcome)->version = 0x0304;
	add_row(&report, 10, TLSTALL_OUTCOME_OK)->version = 0x0304;
	add_row(&report, 2000000000, TLSTALL_OUTCOME_OK)->version = 0x0304;
	report.rows[report.count - 1].flags = ROW_TROUBLED;
	add_row(&report, 10, TLSTALL_OUTCOME_OK)->version = 0x0303;
	report.rows[report.count - 1].flags = ROW_RESUMED;
	assert_int_equal(groups_make(&report, GROUP_SESSION, &groups), 0);
	assert_int_equal(groups.count, 2);
	assert_int_equal(groups.list[0].count, 6);
	assert_int_equal(groups.list[0].outcomes[TLSTALL_OUTCOME_OK], 3);
	assert_int_equal(groups.list[0].stalled, 1);
	assert_int_equal(groups.list[0].outcomes[TLSTALL_OUTCOME_FAILED], 1);
	assert_int_equal(groups.list[0].outcomes[TLSTALL_OUTCOME_IN_FLIGHT], 1);
	assert_int_equal(groups.list[1].worst->flags & ROW_RESUMED, ROW_RESUMED);
	groups_free(&groups);
	report_free(&report);
}

static void test_retries_buckets_are_without_gap(void **state)
{
	uint32_t first, last, expected = 0;

	(void)state;
	for (unsigned bucket = 0; bucket <= retries_bucket(UINT32_MAX); bucket++) {
		retries_range(bucket, &first, &last);
		assert_int_equal(first, expected);
		assert_int_equal(retries_bucket(first), bucket);
		assert_int_equal(retries_bucket(last), bucket);
		expected = last + 1;
	}
	assert_int_equal(expected, 0); /* wrapped around: all are covered */
	retries_range(retries_bucket(5), &first, &last);
	assert_int_equal(first, 4);
	assert_int_equal(last, 7);
}

static void test_retries_in_their_order(void **state)
{
	struct report report = {0};
	struct groups groups;

	(void)state;
	add_row(&report, 1, TLSTALL_OUTCOME_OK)->retries = 40000;
	for (unsigned i = 0; i < 2; i++)
		add_row(&report, 1, TLSTALL_OUTCOME_OK)->retries = 2;
	add_row(&report, 1, TLSTALL_OUTCOME_OK)->retries = 0;
	assert_int_equal(groups_make(&report, GROUP_RETRIES, &groups), 0);
	assert_int_equal(groups.count, 3);
	assert_int_equal(groups.list[0].worst->retries, 0);
	assert_int_equal(groups.list[1].count, 2);
	assert_int_equal(groups.list[2].worst->retries, 40000);
	groups_free(&groups);
	report_free(&report);
}

/* ---- texts ----------------------------------------------------------------------- */

static void test_strings_are_kept_once(void **state)
{
	struct strings strings = {0};
	uint32_t ids[3000];
	char text[16];

	(void)state;
	assert_int_equal(strings_id(&strings, NULL), 0);
	assert_int_equal(strings_id(&strings, ""), 0);
	for (uint32_t i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		ids[i] = strings_id(&strings, text);
		assert_int_equal(ids[i], i + 1);
	}
	for (uint32_t i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		assert_int_equal(strings_id(&strings, text), ids[i]);
		assert_string_equal(strings_text(&strings, ids[i]), text);
	}
	assert_string_equal(strings_text(&strings, 99999), "");
	strings_free(&strings);
}

#define CHOSEN 30000

/*
 * Names as a peer may choose them, so that FNV-1a from its usual start would put all of them in one
 * place of the table: the prime's inverse says which last character does.
 */
static void choose_names(char names[CHOSEN][16])
{
	const uint32_t prime = 16777619, wanted = 0x1234u * 899433627u;
	char *name = names[0], *end = names[CHOSEN];

	for (uint32_t i = 0; name < end; i++) {
		int length = snprintf(name, 16, "%x", i);
		uint32_t hash = 2166136261u;

		for (int at = 0; at < length; at++)
			hash = (hash ^ (unsigned char)name[at]) * prime;
		for (uint32_t c = '0'; c <= 'z' && name < end; c++) {
			uint32_t last = ((hash ^ c) * prime ^ wanted) & 0xffff;

			if (last < 'A' || last > 'Z')
				continue;
			if (name + 16 < end)
				memcpy(name + 16, name, (size_t)length);
			name[length] = (char)c;
			name[length + 1] = (char)last;
			name[length + 2] = '\0';
			name += 16;
		}
	}
}

static clock_t time_to_add(char (*names)[16])
{
	struct strings strings = {0};
	clock_t before = clock(), took;

	for (uint32_t i = 0; i < CHOSEN; i++)
		assert_int_equal(strings_id(&strings, names[i]), i + 1);
	took = clock() - before;
	strings_free(&strings);
	return took;
}

static void test_names_chosen_for_their_hash(void **state)
{
	char(*names)[16] = calloc(CHOSEN, sizeof(*names));
	clock_t shortest = CLOCKS_PER_SEC;

	(void)state;
	assert_non_null(names);
	choose_names(names);
	/* others that use the same processor and its caches only add to the time */
	for (int i = 0; i < 5; i++) {
		clock_t took = time_to_add(names);

		shortest = took < shortest ? took : shortest;
	}
	/* a few comparisons for each, instead of 450 million */
	assert_true(shortest < CLOCKS_PER_SEC / 4);
	free(names);
}

/* ---- columns and packer ------------------------------------------------------------- */

/* What a column writes; `type` is set to its name. */
static unsigned char *written(struct column *column, size_t *size, const char **type)
{
	char *bytes;
	FILE *out = open_memstream(&bytes, size);

	*type = column_write(column, out);
	assert_int_equal(fclose(out), 0);
	return (unsigned char *)bytes;
}

static void check_counts(uint32_t largest, const char *expected, size_t width)
{
	struct column column = {.type = COLUMN_COUNT};
	unsigned char *bytes;
	const char *type;
	uint32_t value = 0;
	size_t size;

	for (int i = 0; i < 3; i++)
		assert_int_equal(column_add(&column, i == 1 ? (double)largest : 1), 0);
	bytes = written(&column, &size, &type);
	assert_string_equal(type, expected);
	assert_int_equal(size % 8, 0);
	assert_true(size >= 3 * width);
	memcpy(&value, bytes + width, width);
	assert_int_equal(value, largest);
	free(bytes);
	column_free(&column);
}

static void test_counts_are_as_narrow_as_they_can_be(void **state)
{
	(void)state;
	check_counts(0, "u8", 1);
	check_counts(255, "u8", 1);
	check_counts(256, "u16", 2);
	check_counts(65535, "u16", 2);
	check_counts(65536, "u32", 4);
	check_counts(UINT32_MAX, "u32", 4);
}

static void test_other_columns(void **state)
{
	struct column exact = {.type = COLUMN_EXACT}, real = {.type = COLUMN_REAL};
	struct column number = {.type = COLUMN_SIGNED}, empty = {.type = COLUMN_COUNT};
	const char *type;
	size_t size;
	unsigned char *bytes;
	double wide;
	int32_t signed_value;

	(void)state;
	column_add(&exact, 9007199254740991.0);
	bytes = written(&exact, &size, &type);
	memcpy(&wide, bytes, sizeof(wide));
	assert_string_equal(type, "f64");
	assert_true(wide == 9007199254740991.0);
	free(bytes);
	column_add(&number, -1);
	bytes = written(&number, &size, &type);
	memcpy(&signed_value, bytes, sizeof(signed_value));
	assert_string_equal(type, "i32");
	assert_int_equal(signed_value, -1);
	assert_int_equal(size, 8);
	free(bytes);
	column_add(&real, 0.5);
	free(written(&real, &size, &type));
	assert_string_equal(type, "f32");
	free(written(&empty, &size, &type));
	assert_int_equal(size, 0);
	column_free(&exact);
	column_free(&real);
	column_free(&number);
}

/* Strict base64, as browsers decode it. */
static size_t decode(const char *text, size_t size, unsigned char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t used = 0;

	assert_int_equal(size % 4, 0);
	for (size_t i = 0; i < size; i += 4) {
		uint32_t bits = 0;
		unsigned kept = 0;

		for (unsigned k = 0; k < 4; k++) {
			const char *digit = text[i + k] ? strchr(digits, text[i + k]) : NULL;

			assert_true(digit || (text[i + k] == '=' && i + 4 == size && k > 1));
			bits = bits << 6 | (digit ? (uint32_t)(digit - digits) : 0);
			kept += digit != NULL;
		}
		for (unsigned k = 0; k + 1 < kept; k++)
			out[used++] = (unsigned char)(bits >> (16 - 8 * k));
	}
	return used;
}

static void check_round_trip(size_t size)
{
	unsigned char *input = malloc(size + 1), *packed, *output = malloc(size + 1);
	size_t text_size, packed_size;
	char *text;
	FILE *out = open_memstream(&text, &text_size);
	struct packer *packer = packer_start(out);
	z_stream stream = {0};
	uint32_t scatter = 1;

	for (size_t i = 0; i < size; i++) {
		scatter = scatter * 1664525 + 1013904223;
		input[i] = (unsigned char)(scatter >> 24);
	}
	packer_add(packer, input, size / 3);
	packer_add(packer, input + size / 3, size - size / 3);
	assert_int_equal(packer_end(packer), 0);
	assert_int_equal(fclose(out), 0);
	packed = malloc(text_size);
	packed_size = decode(text, text_size, packed);
	assert_int_equal(inflateInit2(&stream, 31), Z_OK);
	stream.next_in = packed;
	stream.avail_in = (uInt)packed_size;
	stream.next_out = output;
	stream.avail_out = (uInt)size + 1;
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.total_out, size);
	assert_memory_equal(input, output, size);
	inflateEnd(&stream);
	free(input);
	free(packed);
	free(output);
	free(text);
}

static void test_packer_round_trip(void **state)
{
	(void)state;
	for (size_t size = 0; size < 12; size++)
		check_round_trip(size);
	check_round_trip((3u << 14) - 1); /* about one chunk of its buffer */
	check_round_trip(3u << 14);
	check_round_trip((3u << 14) + 1);
	check_round_trip(1000003);
}

static void test_packer_without_memory(void **state)
{
	(void)state;
	packer_add(NULL, "x", 1);
	assert_int_equal(packer_end(NULL), -1);
}

/* ---- calls ------------------------------------------------------------------------ */

static void test_calls_by_handshake(void **state)
{
	struct gathered_calls calls = {0};
	const struct gathered_call *list;
	size_t count;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		struct tlstall_event event = {.type = TLSTALL_EVENT_CALL,
					      .handshake = 1 + i % 3,
					      .ticks = 1000 + i,
					      .retry = i / 3};

		assert_int_equal(calls_add(&calls, &event), 0);
	}
	for (uint32_t i = 0; i < 500; i++) { /* one handshake that spins */
		struct tlstall_event event = {.type = TLSTALL_EVENT_CALL,
					      .handshake = UINT32_MAX,
					      .ticks = 5000 + i,
					      .retry = i};

		assert_int_equal(calls_add(&calls, &event), 0);
	}
	calls_sort(&calls);
	list = calls_of(&calls, 2, &count);
	assert_int_equal(count, 100);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(list[i].ticks, 1001 + 3 * i);
	calls_of(&calls, UINT32_MAX, &count);
	assert_int_equal(count, CALLS_SHOWN);
	calls_of(&calls, 4, &count);
	assert_int_equal(count, 0);
	calls_free(&calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentiles_are_measured_values),
		cmocka_unit_test(test_percentiles_of_few),
		cmocka_unit_test(test_no_rows_no_groups),
		cmocka_unit_test(test_trouble_by_cause_peer_and_site),
		cmocka_unit_test(test_sessions_count_outcomes),
		cmocka_unit_test(test_retries_buckets_are_without_gap),
		cmocka_unit_test(test_retries_in_their_order),
		cmocka_unit_test(test_strings_are_kept_once),
		cmocka_unit_test(test_names_chosen_for_their_hash),
		cmocka_unit_test(test_counts_are_as_narrow_as_they_can_be),
		cmocka_unit_test(test_other_columns),
		cmocka_unit_test(test_packer_round_trip),
		cmocka_unit_test(test_packer_without_memory),
		cmocka_unit_test(test_calls_by_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
