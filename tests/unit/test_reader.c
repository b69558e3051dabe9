/* SPDX-License-Identifier: Apache-2.0 */
/* The trace reader: what it opens and refuses, and how far it reads. Events: test_cursor.c. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/reader.h"
#include "unit/build_trace.h"

static void assert_refused(const void *bytes, size_t size, int expected)
{
	/* exactly as large as needed: sanitizers catch reads past the end */
	void *copy = malloc(size ? size : 1);
	struct trace *trace = (struct trace *)1;
	int error;

	memcpy(copy, bytes, size);
	error = trace_open_bytes(copy, size, &trace);
	assert_int_equal(error, expected);
	assert_null(trace);
	free(copy);
}

/* ---- refused ------------------------------------------------------------------ */

static void test_not_a_trace(void **state)
{
	static const char text[] = "#!/bin/sh\necho not a trace\n";
	static const char elf[3000] = "\177ELF";

	(void)state;
	assert_refused(text, sizeof(text), TRACE_ERROR_MAGIC);
	assert_refused(text, 3, TRACE_ERROR_MAGIC);
	assert_refused(elf, sizeof(elf), TRACE_ERROR_MAGIC);
	assert_string_equal(trace_strerror(NULL, TRACE_ERROR_MAGIC), "not a trace file");
}

static void test_unfinished(void **state)
{
	static const char zeroes[8192];
	struct build b;

	(void)state;
	assert_refused(zeroes, 0, TRACE_ERROR_UNFINISHED);
	assert_refused(zeroes, sizeof(zeroes), TRACE_ERROR_UNFINISHED);
	build_trace(&b, NULL);
	b.header->magic = 0;
	assert_refused(b.bytes, b.size, TRACE_ERROR_UNFINISHED);
	build_free(&b);
}

static void test_byte_order(void **state)
{
	struct build b;

	(void)state;
	build_trace(&b, NULL);
	b.header->byte_order = __builtin_bswap32(TLSTALL_BYTE_ORDER);
	assert_refused(b.bytes, b.size, TRACE_ERROR_BYTE_ORDER);
	b.header->magic = __builtin_bswap64(TLSTALL_MAGIC);
	assert_refused(b.bytes, b.size, TRACE_ERROR_BYTE_ORDER);
	build_free(&b);
}

static void test_version(void **state)
{
	struct build b;
	const char *text;

	(void)state;
	build_trace(&b, NULL);
	b.header->major = 7;
	b.header->minor = 3;
	assert_refused(b.bytes, b.size, TRACE_ERROR_VERSION);
	text = trace_strerror(NULL, TRACE_ERROR_VERSION);
	assert_non_null(strstr(text, "7.3"));
	assert_non_null(strstr(text, "1.x"));
	/* even if a later version has a shorter header */
	assert_refused(b.bytes, 100, TRACE_ERROR_VERSION);
	b.header->major = 0;
	assert_refused(b.bytes, b.size, TRACE_ERROR_VERSION);
	build_free(&b);
}

static void test_incompatible_feature(void **state)
{
	struct build b;
	const char *text;
	char version[12];

	(void)state;
	build_trace(&b, NULL);
	b.header->minor = TLSTALL_MINOR + 2;
	b.header->incompat = 0x20;
	assert_refused(b.bytes, b.size, TRACE_ERROR_VERSION);
	text = trace_strerror(NULL, TRACE_ERROR_VERSION);
	assert_non_null(strstr(text, "0x20"));
	snprintf(version, sizeof(version), "1.%d", TLSTALL_MINOR + 2);
	assert_non_null(strstr(text, version));
	snprintf(version, sizeof(version), "1.%d", TLSTALL_MINOR);
	assert_non_null(strstr(text, version));
	build_free(&b);
}

static void test_layout(void **state)
{
	struct build b;
	struct tlstall_header good;
	struct tlstall_section *sections;

	(void)state;
	build_trace(&b, NULL);
	good = *b.header;
	sections = b.header->section;
#define BROKEN_BY(change)                                                                          \
	do {                                                                                       \
		change;                                                                            \
		assert_refused(b.bytes, b.size, TRACE_ERROR_LAYOUT);                               \
		*b.header = good;                                                                  \
	} while (0)
	BROKEN_BY(sections[TLSTALL_SECTION_OPENING].count = 48);
	BROKEN_BY(sections[TLSTALL_SECTION_REST].count = 0);
	BROKEN_BY(sections[TLSTALL_SECTION_STRINGS].entry_size = 63);
	BROKEN_BY(sections[TLSTALL_SECTION_STRINGS].entry_size = 1 << 20);
	BROKEN_BY(sections[TLSTALL_SECTION_HANDSHAKES].count = UINT32_MAX);
	BROKEN_BY(sections[TLSTALL_SECTION_HANDSHAKES].offset = 64);
	BROKEN_BY(sections[TLSTALL_SECTION_HANDSHAKES].offset = UINT64_MAX - 8);
	BROKEN_BY(b.header->section_count = TLSTALL_SECTION_COUNT - 1);
	BROKEN_BY(b.header->section_count = TLSTALL_SECTION_MAX + 1);
	BROKEN_BY(b.header->header_size = sizeof(good) - 8);
	BROKEN_BY(b.header->file_size = UINT64_MAX);
	BROKEN_BY(b.header->file_size = 4096);
	BROKEN_BY(b.header->byte_order = 0);
#undef BROKEN_BY
	build_free(&b);
}

static void test_truncated_header(void **state)
{
	struct build b;
	uint64_t functions;

	(void)state;
	build_trace(&b, NULL);
	for (size_t size = 1; size < sizeof(*b.header); size++)
		assert_refused(b.bytes, size, TRACE_ERROR_SHORT);
	functions = b.header->section[TLSTALL_SECTION_FUNCTIONS].offset;
	assert_refused(b.bytes, functions, TRACE_ERROR_SHORT);
	assert_refused(b.bytes, functions + 100, TRACE_ERROR_SHORT);
	build_free(&b);
}

static void test_no_file(void **state)
{
	struct trace *trace;

	(void)state;
	assert_int_equal(trace_open_path("/nowhere/1-2.tlstall", &trace), TRACE_ERROR_IO);
	assert_null(trace);
	assert_string_equal(trace_strerror(trace, TRACE_ERROR_IO), "No such file or directory");
	assert_int_equal(trace_open_path("/tmp", &trace), TRACE_ERROR_IO);
	assert_string_equal(trace_strerror(trace, TRACE_ERROR_IO), "Is a directory");
}

/* ---- partly readable files, and refreshing ------------------------------------------ */

static unsigned count_events(struct trace *trace)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;
	unsigned count = 0;
	int result;

	assert_int_equal(trace_cursor_open(trace, &cursor), 0);
	while ((result = trace_cursor_next(cursor, &event)) == 0)
		count++;
	assert_int_equal(result, 1);
	trace_cursor_skip(cursor);
	assert_int_equal(trace_cursor_next(cursor, &event), 1);
	trace_cursor_close(cursor);
	return count;
}

static void test_truncated_sections(void **state)
{
	struct build b;

	(void)state;
	build_one(&b);
	for (unsigned id = 1; id < TLSTALL_SECTION_COUNT; id++) {
		const struct tlstall_section *s = &b.header->section[id];
		struct tlstall_handshake h;
		struct trace *trace;
		/* in the middle of an entry */
		size_t size = s->offset + s->entry_size / 2;
		void *copy = malloc(size);

		memcpy(copy, b.bytes, size);
		assert_int_equal(trace_open_bytes(copy, size, &trace), 0);
		assert_int_equal(count_events(trace), id > TLSTALL_SECTION_OPENING ? 4 : 0);
		assert_int_equal(trace_handshake(trace, 0, &h),
				 id > TLSTALL_SECTION_HANDSHAKES ? 0 : 1);
		assert_string_equal(trace_function_name(trace, 0), "SSL_connect");
		assert_string_equal(trace_state_name(trace, 1),
				    id > TLSTALL_SECTION_STATES ? "SSLv3/TLS write client hello"
								: "");
		/* each incomplete section, and each missing event */
		assert_int_equal(trace_damage(trace),
				 TLSTALL_SECTION_COUNT - id +
					 (id > TLSTALL_SECTION_OPENING ? 0 : 4));
		trace_close(trace);
		free(copy);
	}
	build_free(&b);
}

static void test_whole(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	trace = build_open(&b);
	assert_int_equal(count_events(trace), 4);
	assert_int_equal(trace_damage(trace), 0);
	assert_string_equal(trace_header(trace)->program, "/usr/bin/curl");
	trace_close(trace);
	build_free(&b);
}

static void make_file(char *path)
{
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	close(fd);
}

static void test_from_a_file(void **state)
{
	char path[] = "/tmp/tlstall-test-XXXXXX";
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	make_file(path);
	assert_int_equal(build_write(&b, path), 0);
	assert_int_equal(trace_open_path(path, &trace), 0);
	/* truncated while we read: no signal, just an early end */
	assert_int_equal(truncate(path, (off_t)b.header->section[TLSTALL_SECTION_OPENING].offset),
			 0);
	assert_int_equal(count_events(trace), 0);
	assert_int_equal(trace_damage(trace), 4);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(trace_refresh(trace), TRACE_ERROR_UNFINISHED);
	assert_string_equal(trace_header(trace)->program, "/usr/bin/curl");
	trace_close(trace);
	unlink(path);
	build_free(&b);
}

#define OPEN 6 /* files at once */
#define EACH 5 /* traces of each thread */

static void *read_on(void *own)
{
	struct trace **traces = own;
	size_t failed = 0;

	for (int i = 0; i < 50000; i++)
		failed += trace_refresh(traces[i % EACH]) != 0;
	return (void *)failed;
}

/* As in run: one may set aside what the other reads. */
static void test_two_threads(void **state)
{
	char path[] = "/tmp/tlstall-test-XXXXXX";
	pthread_t threads[2];
	struct trace *traces[2][EACH];
	struct build b;
	void *failed;

	(void)state;
	build_one(&b);
	make_file(path);
	assert_int_equal(build_write(&b, path), 0);
	for (int i = 0; i < 2 * EACH; i++)
		assert_int_equal(trace_open_path(path, &traces[i / EACH][i % EACH]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, traces[i]), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	for (int i = 0; i < 2 * EACH; i++)
		trace_close(traces[i / EACH][i % EACH]);
	unlink(path);
	build_free(&b);
}

/*
 * A later minor version may have longer entries, a longer header, and
 * features that can be ignored.
 */
static void test_later_minor(void **state)
{
	struct build b;
	struct trace *trace;
	struct tlstall_section *s;
	unsigned char *longer;
	const uint32_t size = sizeof(struct tlstall_string) + 32;

	(void)state;
	build_one(&b);
	b.header->minor = 9;
	b.header->compat = 0xff;
	b.header->header_size += 64;
	s = &b.header->section[TLSTALL_SECTION_STATES];
	longer = calloc(1, b.size + s->count * size);
	for (uint32_t i = 0; i < s->count; i++)
		memcpy(longer + b.size + (size_t)i * size, &b.states[i], sizeof(b.states[i]));
	b.header->file_size = b.size + s->count * size;
	s->offset = b.size;
	s->entry_size = size;
	memcpy(longer, b.bytes, b.size);
	assert_int_equal(trace_open_bytes(longer, b.header->file_size, &trace), 0);
	assert_string_equal(trace_state_name(trace, 1), "SSLv3/TLS write client hello");
	assert_int_equal(count_events(trace), 4);
	trace_close(trace);
	free(longer);
	build_free(&b);
}

static void test_refresh(void **state)
{
	struct build b;
	struct trace *trace;
	const struct tlstall_header *header;

	(void)state;
	build_one(&b);
	trace = build_open(&b);
	header = trace_header(trace);
	b.header->handshakes = 42;
	b.header->clock_disturbed = 3;
	/* a hostile writer moves a section: the checked offset is still used */
	b.header->section[TLSTALL_SECTION_OPENING].offset = UINT64_MAX;
	assert_int_equal(trace_refresh(trace), 0);
	assert_ptr_equal(trace_header(trace), header);
	assert_int_equal(header->handshakes, 42);
	assert_int_equal(header->clock_disturbed, 3);
	assert_int_equal(count_events(trace), 4);
	trace_close(trace);
	build_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_a_trace),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_incompatible_feature),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_truncated_header),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_truncated_sections),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_from_a_file),
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_later_minor),
		cmocka_unit_test(test_refresh),
	};

	/* the reader uses half of what it may; others may have left us theirs */
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){2 * OPEN, 2 * OPEN}), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
