/* SPDX-License-Identifier: Apache-2.0 */
/* The trace reader: what it opens and refuses, tables, handshakes, time, horizon. Events:
 * test_cursor.c. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/directory.h"
#include "trace/reader.h"
#include "unit/build_trace.h"

static void assert_refused(const void *bytes, size_t size, int expected)
{
	/* of its exact size: a reader that looks beyond is caught by the sanitizers */
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
	/* even where a later version has a shorter header */
	assert_refused(b.bytes, 100, TRACE_ERROR_VERSION);
	b.header->major = 0;
	assert_refused(b.bytes, b.size, TRACE_ERROR_VERSION);
	build_free(&b);
}

static void test_incompatible_feature(void **state)
{
	struct build b;
	const char *text;

	(void)state;
	build_trace(&b, NULL);
	b.header->minor = 4;
	b.header->incompat = 0x20;
	assert_refused(b.bytes, b.size, TRACE_ERROR_VERSION);
	text = trace_strerror(NULL, TRACE_ERROR_VERSION);
	assert_non_null(strstr(text, "0x20"));
	assert_non_null(strstr(text, "1.4"));
	assert_non_null(strstr(text, "1.2"));
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

/* ---- read as far as it goes -------------------------------------------------------- */

/* One handshake, three calls and the end. */
static void build_one(struct build *b)
{
	struct tlstall_handshake *h;

	build_trace(b, NULL);
	h = build_handshake(b, 0x5000, 1 * BUILD_MS);
	build_reach(b, h, "SSLv3/TLS write client hello", 1200 * BUILD_US);
	build_call(b, h, "SSL_connect", 1 * BUILD_MS, 300 * BUILD_US, -1, BUILD_WANT_READ);
	build_get_error(b, h, 1400 * BUILD_US, -1, BUILD_WANT_READ);
	build_call(b, h, "SSL_connect", 4 * BUILD_MS, 1 * BUILD_MS, 1, BUILD_NONE);
	build_end(b, h, 5 * BUILD_MS, TLSTALL_OUTCOME_OK);
}

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
		/* in mid-entry */
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
		/* each section that is not whole, and each event that is not there */
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

static void test_from_a_file(void **state)
{
	char path[] = "/tmp/tlstall-test-XXXXXX";
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	assert_int_not_equal(mkstemp(path), -1);
	assert_int_equal(build_write(&b, path), 0);
	assert_int_equal(trace_open_path(path, &trace), 0);
	/* somebody truncates it under us: no signal, an early end */
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

/* A later minor version may have longer entries and a longer header, and features to ignore. */
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

/* ---- tables --------------------------------------------------------------------------- */

static void test_names(void **state)
{
	struct build b;
	struct trace *trace;
	const char *name;

	(void)state;
	build_one(&b);
	build_string(&b, "X25519");
	trace = build_open(&b);
	assert_string_equal(trace_function_name(trace, 0), "SSL_connect");
	assert_int_equal(trace_function_kind(trace, 0), TLSTALL_KIND_CONNECT);
	assert_string_equal(trace_function_name(trace, 200), "");
	assert_int_equal(trace_function_kind(trace, 200), 0);
	assert_string_equal(trace_string(trace, 0), "");
	assert_string_equal(trace_string(trace, 1), "socket");
	assert_string_equal(trace_string(trace, UINT32_MAX), "");
	assert_string_equal(trace_state_name(trace, 2), "");

	/* written while we are reading: seen once it is complete, at the same place for ever */
	name = trace_string(trace, 2);
	b.strings[3].commit = 0;
	strcpy(b.strings[3].text, "half wri");
	assert_string_equal(trace_string(trace, 3), "");
	b.strings[3].commit = 1;
	assert_string_equal(trace_string(trace, 3), "half wri");
	assert_ptr_equal(trace_string(trace, 2), name);
	assert_string_equal(name, "X25519");
	trace_close(trace);
	build_free(&b);
}

static void test_texts_without_end(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	memset(b.strings[1].text, 'x', sizeof(b.strings[1].text));
	memset(b.functions[0].name, 'f', sizeof(b.functions[0].name));
	b.functions[0].kind = 250;
	memset(b.header->host, 'h', sizeof(b.header->host));
	b.header->libssl_count = 9;
	b.header->process_count = 1000000;
	trace = build_open(&b);
	assert_int_equal(strlen(trace_string(trace, 1)), sizeof(b.strings[1].text));
	assert_int_equal(strlen(trace_function_name(trace, 0)), sizeof(b.functions[0].name));
	assert_int_equal(trace_function_kind(trace, 0), 0);
	assert_int_equal(strlen(trace_header(trace)->host), sizeof(b.header->host) - 1);
	assert_int_equal(trace_header(trace)->libssl_count, 4);
	assert_int_equal(trace_header(trace)->process_count, 4);
	trace_close(trace);
	build_free(&b);
}

static void test_processes_modules_stacks(void **state)
{
	const uint64_t frames[] = {0x401000, 0x402000};
	struct tlstall_process process;
	struct tlstall_module module;
	struct tlstall_stack stack;
	struct build b;
	struct trace *trace;
	uint32_t id;

	(void)state;
	build_trace(&b, NULL);
	build_process(&b, 4200, "worker");
	build_module(&b, "/usr/lib/libcurl.so.4", 0x400000, 0x500000);
	id = build_stack(&b, frames, 2);
	b.modules[0].build_id_size = 4000;
	trace = build_open(&b);
	assert_int_equal(trace_process(trace, 1, &process), 0);
	assert_int_equal(process.pid, 4200);
	assert_string_equal(process.comm, "worker");
	assert_int_equal(trace_process(trace, 2, &process), 1);
	assert_int_equal(trace_process(trace, 4, &process), 1);
	assert_int_equal(trace_module(trace, 0, &module), 0);
	assert_string_equal(module.path, "/usr/lib/libcurl.so.4");
	assert_int_equal(module.build_id_size, 0);
	assert_int_equal(trace_module(trace, 1, &module), 1);
	assert_int_equal(trace_stack(trace, id, &stack), 0);
	assert_int_equal(stack.count, 2);
	assert_int_equal(stack.frames[1], 0x402000);
	assert_int_equal(trace_stack(trace, 0, &stack), 1);
	b.stacks[id].count = 31;
	assert_int_equal(trace_stack(trace, id, &stack), 0);
	assert_int_equal(stack.count, TLSTALL_STACK_FRAMES);
	trace_close(trace);
	build_free(&b);
}

/* ---- handshakes -------------------------------------------------------------------------- */

static void test_handshakes(void **state)
{
	struct tlstall_event event = {.slot = 0, .handshake = 1};
	struct tlstall_handshake h;
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	trace = build_open(&b);
	assert_int_equal(trace_slot_count(trace), 8);
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_int_equal(h.outcome, TLSTALL_OUTCOME_OK);
	assert_int_equal(h.calls, 2);
	assert_string_equal(h.sni, "example.org");
	assert_int_equal(trace_handshake(trace, 1, &h), 1);
	assert_int_equal(trace_handshake(trace, 8, &h), 1);
	assert_int_equal(trace_handshake_of(trace, &event, &h), 0);
	event.handshake = 2;
	assert_int_equal(trace_handshake_of(trace, &event, &h), 1);
	event = (struct tlstall_event){.slot = TLSTALL_NO_SLOT, .handshake = 1};
	assert_int_equal(trace_handshake_of(trace, &event, &h), 1);
	b.handshakes[0].status = TLSTALL_SLOT_CLAIMED;
	assert_int_equal(trace_handshake(trace, 0, &h), 1);
	b.handshakes[0].status = 77;
	assert_int_equal(trace_handshake(trace, 0, &h), 1);
	trace_close(trace);
	build_free(&b);
}

static void test_handshake_out_of_bounds(void **state)
{
	struct tlstall_handshake *h, out;
	struct build b;
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	h->state_count = h->alert_count = h->outcome = h->role = h->libssl = 255;
	h->read.bio_class = h->write.blocking = 255;
	memset(h->sni, 's', sizeof(h->sni));
	memset(h->alpn, 'a', sizeof(h->alpn));
	trace = build_open(&b);
	assert_int_equal(trace_handshake(trace, 0, &out), 0);
	assert_int_equal(out.state_count, TLSTALL_STATES);
	assert_int_equal(out.alert_count, 4);
	assert_int_equal(out.outcome, TLSTALL_OUTCOME_IN_FLIGHT);
	assert_int_equal(out.role, TLSTALL_ROLE_UNKNOWN);
	assert_int_equal(out.libssl, 0);
	assert_int_equal(out.read.bio_class, TLSTALL_BIO_OTHER);
	assert_int_equal(out.write.blocking, 2);
	assert_int_equal(strlen(out.sni), sizeof(out.sni) - 1);
	assert_int_equal(strlen(out.alpn), sizeof(out.alpn) - 1);
	trace_close(trace);
	build_free(&b);
}

/* A source that changes what it is read from after each reading of the slots. */
struct changing {
	struct build *b;
	void (*change)(struct tlstall_handshake *h, unsigned reading);
	unsigned readings;
};

static ssize_t changing_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	struct changing *c = context;

	if (offset >= c->b->size)
		return 0;
	if (size > c->b->size - offset)
		size = c->b->size - offset;
	/* in small pieces, as a signal may cut them */
	size = size > 1000 ? 1000 : size;
	memcpy(buffer, c->b->bytes + offset, size);
	if (offset == c->b->header->section[TLSTALL_SECTION_HANDSHAKES].offset)
		c->change(&c->b->handshakes[0], ++c->readings);
	return (ssize_t)size;
}

static struct trace *open_changing(struct changing *c)
{
	struct trace *trace;

	assert_int_equal(trace_open((struct trace_source){changing_read, NULL, c}, &trace), 0);
	return trace;
}

static void settle(struct tlstall_handshake *h, unsigned reading)
{
	if (reading < 3)
		h->calls = h->retries = 10 * reading;
}

static void never_settle(struct tlstall_handshake *h, unsigned reading)
{
	h->calls = reading;
}

static void replace(struct tlstall_handshake *h, unsigned reading)
{
	(void)reading;
	h->number++;
}

static void claim(struct tlstall_handshake *h, unsigned reading)
{
	(void)reading;
	h->status = TLSTALL_SLOT_CLAIMED;
	memset(h->states, 0, sizeof(h->states));
}

static void test_stable_copy(void **state)
{
	struct build b;
	struct changing c = {.b = &b};
	struct tlstall_handshake h;
	struct trace *trace;

	(void)state;
	build_one(&b);
	b.processes[0].exited = 0; /* of those that ended nothing is written any more */
	trace = open_changing(&c);
	c.change = settle;
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_int_equal(h.calls, 20);
	assert_int_equal(h.retries, 20);
	c.change = never_settle;
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_int_equal(h.number, 1);
	c.change = replace;
	assert_int_equal(trace_handshake(trace, 0, &h), 1);
	c.change = claim;
	assert_int_equal(trace_handshake(trace, 0, &h), 1);
	trace_close(trace);
	build_free(&b);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void test_time(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	trace = build_open(&b);
	assert_int_equal(trace_span_ns(trace, 12345), 12345);
	assert_int_equal(trace_realtime_ns(trace, 0), BUILD_EPOCH_NS);
	assert_int_equal(trace_realtime_ns(trace, 3 * BUILD_MS + 1),
			 BUILD_EPOCH_NS + 3 * BUILD_MS + 1);
	assert_int_equal(trace_realtime_ns(trace, 20 * BUILD_S), BUILD_EPOCH_NS + 20 * BUILD_S);
	assert_false(trace_is_local(trace));
	trace_close(trace);
	build_free(&b);
}

/* A counter of 2.5 GHz that had been running before. */
static void build_counter(struct build *b)
{
	build_trace(b, NULL);
	b->header->clock_source = TLSTALL_CLOCK_TSC;
	b->header->first = (struct tlstall_clock_pair){5000000000, 1000, BUILD_EPOCH_NS};
	b->header->last =
		(struct tlstall_clock_pair){7500000000, 1000 + BUILD_S, BUILD_EPOCH_NS + BUILD_S};
}

static void test_counter(void **state)
{
	struct tlstall_clock_pair now = {12500000000, 1000 + 4 * BUILD_S,
					 BUILD_EPOCH_NS + 3600 * BUILD_S};
	struct build b;
	struct trace *trace;

	(void)state;
	build_counter(&b);
	trace = build_open(&b);
	assert_int_equal(trace_span_ns(trace, 2500), 1000);
	assert_int_equal(trace_realtime_ns(trace, 5000000000), BUILD_EPOCH_NS);
	assert_int_equal(trace_realtime_ns(trace, 6250000000), BUILD_EPOCH_NS + BUILD_S / 2);
	/* now: another rate, and the wall clock was set forward meanwhile */
	trace_set_now(trace, now);
	assert_int_equal(trace_span_ns(trace, 7500000000), 4 * BUILD_S);
	assert_int_equal(trace_realtime_ns(trace, 12500000000), BUILD_EPOCH_NS + 3600 * BUILD_S);
	assert_int_equal(trace_realtime_ns(trace, 5000000000), BUILD_EPOCH_NS + 3596 * BUILD_S);
	trace_close(trace);
	build_free(&b);
}

static void test_clock_pairs_that_tell_nothing(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_counter(&b);
	b.header->last = b.header->first;
	trace = build_open(&b); /* a guess, but a number */
	assert_in_range(trace_span_ns(trace, 1000000), 100000, 2000000);
	trace_close(trace);
	b.header->last.ticks = 0;
	trace = build_open(&b);
	assert_in_range(trace_span_ns(trace, 1000000), 100000, 2000000);
	assert_int_equal(trace_span_ns(trace, UINT64_MAX) > BUILD_S, 1);
	trace_close(trace);
	build_free(&b);
}

/* The writer of the second pair was killed, or is seen, in the middle of it. */
static void test_half_written_pair(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_counter(&b);
	b.header->last_sequence = 7;
	b.header->last.realtime_ns = 1;
	trace = build_open(&b);
	assert_int_equal(trace_header(trace)->last.realtime_ns, BUILD_EPOCH_NS);
	b.header->last_sequence = 8;
	b.header->last.realtime_ns = BUILD_EPOCH_NS + BUILD_S;
	assert_int_equal(trace_refresh(trace), 0);
	assert_int_equal(trace_header(trace)->last.realtime_ns, BUILD_EPOCH_NS + BUILD_S);
	b.header->last_sequence = 9;
	b.header->last.realtime_ns = 1;
	assert_int_equal(trace_refresh(trace), 0);
	assert_int_equal(trace_header(trace)->last.realtime_ns, BUILD_EPOCH_NS + BUILD_S);
	trace_close(trace);
	build_free(&b);
}

/* ---- refresh
 * ------------------------------------------------------------------------------------- */

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
	/* a hostile writer moves a section: what was checked holds */
	b.header->section[TLSTALL_SECTION_OPENING].offset = UINT64_MAX;
	assert_int_equal(trace_refresh(trace), 0);
	assert_ptr_equal(trace_header(trace), header);
	assert_int_equal(header->handshakes, 42);
	assert_int_equal(header->clock_disturbed, 3);
	assert_int_equal(count_events(trace), 4);
	trace_close(trace);
	build_free(&b);
}

/* ---- who lives, and until when
 * ---------------------------------------------------------------------- */

static void read_boot_id(char *buffer, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");

	assert_non_null(file);
	assert_non_null(fgets(buffer, (int)size, file));
	buffer[strcspn(buffer, "\n")] = '\0';
	fclose(file);
}

/* A trace of this host's clock whose process is `pid`, not ended. */
static void build_local(struct build *b, pid_t pid, uint64_t ticks)
{
	build_trace(b, NULL);
	read_boot_id(b->header->boot_id, sizeof(b->header->boot_id));
	b->header->exited = 0;
	b->header->pid = b->processes[0].pid = (uint32_t)pid;
	b->processes[0].exited = 0;
	b->processes[0].start_time = 0;
	b->header->first = b->header->last = (struct tlstall_clock_pair){ticks, ticks, ticks};
	memset(b->header->program, 0, sizeof(b->header->program));
	assert_true(readlink("/proc/self/exe", b->header->program, 255) > 0);
}

static void test_horizon_of_exited(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	trace = build_open(&b);
	assert_false(trace_alive(trace, 0));
	assert_int_equal(trace_horizon(trace, 0), 10 * BUILD_S);
	trace_close(trace);
	build_free(&b);
}

static void test_horizon_of_killed(void **state)
{
	struct build b;
	struct tlstall_handshake *h;
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	build_process(&b, 4200, "worker");
	b.header->forked = 1;
	b.processes[0].exited = b.processes[1].exited = b.header->exited = 0;
	h = build_handshake(&b, 0x5000, 1 * BUILD_MS);
	h->enter = 7 * BUILD_MS;
	h = build_handshake(&b, 0x6000, 1 * BUILD_MS);
	h->process = 1;
	build_call(&b, h, "SSL_accept", 8 * BUILD_MS, 2 * BUILD_MS, -1, BUILD_WANT_READ);
	h->leave = 0;
	trace = build_open(&b);
	assert_int_equal(trace_horizon(trace, 0), 7 * BUILD_MS);
	assert_int_equal(trace_horizon(trace, 1), 10 * BUILD_MS);
	/* one that the file knows nothing of */
	assert_int_equal(trace_horizon(trace, 100), b.header->last.ticks);
	assert_false(trace_alive(trace, 100));
	trace_close(trace);
	build_free(&b);
}

static void test_horizon_of_killed_without_children(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	b.processes[0].exited = b.header->exited = 0;
	trace = build_open(&b);
	assert_int_equal(trace_horizon(trace, 0), b.header->last.ticks);
	trace_close(trace);
	build_free(&b);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * BUILD_S + (uint64_t)now.tv_nsec;
}

static void test_horizon_of_alive(void **state)
{
	struct tlstall_clock_pair now = {77, 77, 77};
	uint64_t before = monotonic_ns(), seen;
	struct build b;
	struct trace *trace;

	(void)state;
	build_local(&b, getpid(), before);
	trace = build_open(&b);
	assert_true(trace_is_local(trace));
	assert_true(trace_alive(trace, 0));
	seen = trace_horizon(trace, 0);
	assert_in_range(seen, before, monotonic_ns());
	trace_set_now(trace, now);
	assert_int_equal(trace_horizon(trace, 0), 77);
	trace_close(trace);

	/* somebody else who has that process id */
	b.processes[0].start_time = 1;
	trace = build_open(&b);
	assert_false(trace_alive(trace, 0));
	trace_close(trace);
	/* the same id on another host */
	b.processes[0].start_time = 0;
	b.header->boot_id[0] = 'x';
	trace = build_open(&b);
	assert_false(trace_is_local(trace));
	assert_false(trace_alive(trace, 0));
	trace_close(trace);
	build_free(&b);
}

/* Once killed its horizon is when it was seen alive last, though the file says less. */
static void test_seen_alive(void **state)
{
	uint64_t before = monotonic_ns();
	struct timespec pause = {.tv_nsec = 20000000};
	pid_t child = fork();
	struct build b;
	struct trace *trace;

	(void)state;
	assert_int_not_equal(child, -1);
	while (!child)
		pause.tv_sec = 10, nanosleep(&pause, NULL);
	build_local(&b, child, before);
	trace = build_open(&b);
	assert_true(trace_alive(trace, 0));
	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT), 0);
	/* a zombie is dead; the answer may be some milliseconds old */
	while (trace_alive(trace, 0) && monotonic_ns() - before < BUILD_S)
		nanosleep(&pause, NULL);
	assert_false(trace_alive(trace, 0));
	assert_true(trace_horizon(trace, 0) > before);
	assert_true(trace_horizon(trace, 0) < monotonic_ns());
	waitpid(child, NULL, 0);
	trace_close(trace);
	build_free(&b);
}

/* An exec keeps process id and start time, but our handshakes are gone. */
static void test_replaced_by_exec(void **state)
{
	struct build b;
	struct trace *trace;
	int ends[2];
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	assert_int_not_equal(child, -1);
	if (!child) {
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* closed by the exec */
	build_local(&b, child, 1);
	trace = build_open(&b);
	assert_true(trace_process_alive(child, 0));
	assert_false(trace_alive(trace, 0));
	trace_close(trace);
	/* where the path is not known whole nothing can be said */
	memset(b.header->program, 'x', sizeof(b.header->program) - 1);
	trace = build_open(&b);
	assert_true(trace_alive(trace, 0));
	trace_close(trace);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ends[0]);
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
		cmocka_unit_test(test_later_minor),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_texts_without_end),
		cmocka_unit_test(test_processes_modules_stacks),
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_handshake_out_of_bounds),
		cmocka_unit_test(test_stable_copy),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_counter),
		cmocka_unit_test(test_clock_pairs_that_tell_nothing),
		cmocka_unit_test(test_half_written_pair),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_horizon_of_exited),
		cmocka_unit_test(test_horizon_of_killed),
		cmocka_unit_test(test_horizon_of_killed_without_children),
		cmocka_unit_test(test_horizon_of_alive),
		cmocka_unit_test(test_seen_alive),
		cmocka_unit_test(test_replaced_by_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
