/* SPDX-License-Identifier: Apache-2.0 */
/* Words, lines, records and paragraphs of synthetic traces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "trace/reader.h"
#include "unit/build_trace.h"
#include "view/line.h"
#include "view/paragraph.h"
#include "view/record.h"
#include "view/subject.h"

/* ---- lines ------------------------------------------------------------------- */

static char *line_of(struct trace *trace, const struct tlstall_event *event,
		     const struct tlstall_handshake *h, struct line_style style)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	line_write(out, &style, trace, event, trace_realtime_ns(trace, trace_event_end(event)), h);
	fclose(out);
	return text;
}

static void assert_line(struct trace *trace, const struct tlstall_event *event,
			const struct tlstall_handshake *h, struct line_style style,
			const char *expected)
{
	char *text = line_of(trace, event, h, style);

	assert_string_equal(text, expected);
	free(text);
}

static void test_lines(void **state)
{
	const struct line_style plain = {0}, seconds = {.time = LINE_TIME_SECONDS},
				relative = {.time = LINE_TIME_RELATIVE,
					    .last_ns = BUILD_EPOCH_NS + BUILD_MS};
	struct tlstall_event call, asked;
	struct tlstall_handshake *h;
	struct trace *trace;
	struct build b;

	(void)state;
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	build_reach(&b, h, "SSLv3/TLS write client hello", BUILD_MS);
	call = *build_call(&b, h, "SSL_connect", BUILD_MS, 412 * BUILD_US, -1, BUILD_WANT_READ);
	asked = *build_get_error(&b, h, 2 * BUILD_MS, -1, BUILD_WANT_READ);
	trace = build_open(&b);
	assert_line(trace, &call, h, plain,
		    "14:13:20.001412 curl[4123] SSL_connect(0x5000, socket fd=5 nonblock "
		    "127.0.0.1:8443 sni=example.org) = -1 WANT_READ retry=0 <0.000412> "
		    "[SSLv3/TLS write client hello]\n");
	assert_line(trace, &call, NULL, seconds,
		    "14:13:20 curl[4123] SSL_connect(0x5000) = -1 WANT_READ retry=0 <0.000412> "
		    "[SSLv3/TLS write client hello]\n");
	assert_line(trace, &asked, h, plain,
		    "14:13:20.002000 curl[4123] SSL_get_error(0x5000, -1) = SSL_ERROR_WANT_READ "
		    "retry=0\n");
	assert_line(trace, &asked, h, relative,
		    "     0.001000 curl[4123] SSL_get_error(0x5000, -1) = SSL_ERROR_WANT_READ "
		    "retry=0\n");
	trace_close(trace);
	build_free(&b);
}

/* A name chosen by the traced program must not drive the terminal. */
static void test_hostile_names(void **state)
{
	const struct line_style style = {.time = LINE_TIME_SECONDS};
	struct tlstall_handshake *h;
	struct tlstall_event call;
	struct trace *trace;
	struct build b;
	char *text;

	(void)state;
	build_trace(&b, NULL);
	strcpy(b.processes[0].comm, "a\033[31m\n");
	h = build_handshake(&b, 0x5000, BUILD_MS);
	strcpy(h->sni, "x\033]0;y\007\n");
	call = *build_call(&b, h, "SSL_connect", BUILD_MS, BUILD_US, 1, BUILD_NONE);
	trace = build_open(&b);
	text = line_of(trace, &call, h, style);
	assert_null(strchr(text, '\033'));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	trace_close(trace);
	build_free(&b);
}

/* ---- records ------------------------------------------------------------------- */

static json_t *parsed(struct json_line *line)
{
	json_error_t error;
	json_t *record;

	json_line_end(line);
	record = json_loadb(line->text, line->length, 0, &error);
	if (!record)
		fail_msg("%s: %.*s", error.text, (int)line->length, line->text);
	return record;
}

static const char *text_of(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key));
}

static json_int_t number_of(const json_t *record, const char *key)
{
	assert_true(json_is_integer(json_object_get(record, key)));
	return json_integer_value(json_object_get(record, key));
}

static void test_record_of_a_call(void **state)
{
	struct tlstall_event call, asked, end;
	struct tlstall_handshake *h;
	struct trace *trace;
	struct build b;
	struct json_line line = {0};
	json_t *record;

	(void)state;
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	call = *build_call(&b, h, "SSL_connect", BUILD_MS, 300 * BUILD_US, -1, BUILD_WANT_READ);
	asked = *build_get_error(&b, h, 2 * BUILD_MS, -1, BUILD_WANT_READ);
	end = *build_end(&b, h, 3 * BUILD_MS, TLSTALL_OUTCOME_ABANDONED);
	trace = build_open(&b);

	assert_true(record_call(&line, trace, &call, h, BUILD_EPOCH_NS + 7, NULL));
	record = parsed(&line);
	assert_string_equal(text_of(record, "type"), "call");
	assert_string_equal(text_of(record, "schema"), "tlstall/1");
	assert_string_equal(text_of(record, "fn"), "SSL_connect");
	assert_string_equal(text_of(record, "ssl"), "0x5000");
	assert_string_equal(text_of(record, "error"), "SSL_ERROR_WANT_READ");
	assert_string_equal(text_of(record, "error_class"), "retry");
	assert_string_equal(text_of(record, "role"), "client");
	assert_string_equal(text_of(record, "bio_read"), "socket");
	assert_int_equal(number_of(record, "ts_ns"), BUILD_EPOCH_NS + 7);
	assert_int_equal(number_of(record, "duration_ns"), 300 * BUILD_US);
	assert_int_equal(number_of(record, "fd"), 5);
	assert_int_equal(number_of(record, "handshake"), 1);
	assert_true(json_is_false(json_object_get(record, "blocking")));
	assert_null(json_object_get(record, "pending_in"));
	json_decref(record);

	assert_true(record_call(&line, trace, &asked, h, 0, NULL));
	record = parsed(&line);
	assert_int_equal(number_of(record, "arg_ret"), -1);
	assert_null(json_object_get(record, "ret"));
	assert_null(json_object_get(record, "error_class"));
	json_decref(record);

	assert_false(record_call(&line, trace, &end, h, 0, NULL));
	json_line_free(&line);
	trace_close(trace);
	build_free(&b);
}

static void test_error_classes(void **state)
{
	static const struct {
		const char *function;
		int32_t ret;
		uint8_t error;
		const char *class;
	} cases[] = {
		{"SSL_connect", 1, BUILD_NONE, "success"},
		{"SSL_connect", -1, BUILD_WANT_READ, "retry"},
		{"SSL_accept", -1, BUILD_WANT_X509_LOOKUP, "retry"},
		{"SSL_accept", -1, 11 /* client hello callback */, "retry"},
		{"SSL_connect", 0, BUILD_SSL, "shutdown"},
		{"SSL_connect", -1, BUILD_SSL, "fatal"},
		{"SSL_read", 0, BUILD_ZERO_RETURN, "shutdown"},
		{"SSL_read", 0, BUILD_SYSCALL, "fatal"},
		{"SSL_read_ex", 0, BUILD_WANT_READ, "retry"},
		{"SSL_shutdown", 0, BUILD_NONE, "shutdown"},
	};
	struct tlstall_handshake *h;
	struct tlstall_event event;
	struct trace *trace;
	struct build b;

	(void)state;
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		event = *build_call(&b, h, cases[i].function, BUILD_MS, 1, cases[i].ret,
				    cases[i].error);
		trace = build_open(&b);
		assert_string_equal(call_error_class(trace, &event), cases[i].class);
		trace_close(trace);
	}
	build_free(&b);
}

/* A client that got no answer and gave up after 4 s. */
static struct tlstall_handshake *build_abandoned(struct build *b)
{
	struct tlstall_handshake *h;

	build_trace(b, NULL);
	h = build_handshake(b, 0x5000, BUILD_MS);
	build_reach(b, h, "SSLv3/TLS write client hello", BUILD_MS + 200 * BUILD_US);
	build_call(b, h, "SSL_connect", BUILD_MS, 300 * BUILD_US, -1, BUILD_WANT_READ);
	build_end(b, h, 4 * BUILD_S, TLSTALL_OUTCOME_ABANDONED);
	return h;
}

static void test_record_of_a_handshake(void **state)
{
	static const char *const parts[] = {"cpu_ns", "wait_in_call_ns", "gap_waiting_ns",
					    "gap_ready_ns", "other_ns"};
	struct tlstall_handshake *h;
	struct subject subject;
	struct trace *trace;
	json_int_t sum = 0;
	struct build b;
	struct json_line line = {0};
	json_t *record;

	(void)state;
	h = build_abandoned(&b);
	strcpy(h->sni, "caf\xe9"); /* not UTF-8 */
	h->alert_count = 1;
	h->alerts[0] = (struct tlstall_alert){.by_peer = 1, .level = 2, .description = 48};
	trace = build_open(&b);
	subject_make(trace, h, NULL, &subject);
	record_handshake(&line, &subject);
	record = parsed(&line);
	json_line_free(&line);
	assert_string_equal(text_of(record, "type"), "handshake");
	assert_string_equal(text_of(record, "outcome"), "abandoned");
	assert_string_equal(text_of(record, "peer"), "127.0.0.1:8443");
	assert_string_equal(text_of(record, "sni"), "caf\\xe9");
	assert_string_equal(text_of(record, "comm"), "curl");
	assert_non_null(text_of(record, "cause"));
	assert_non_null(text_of(record, "fault"));
	assert_int_equal(number_of(record, "ts_ns"), BUILD_EPOCH_NS + BUILD_MS);
	assert_int_equal(number_of(record, "retries"), 0);
	for (size_t i = 0; i < 5; i++)
		sum += number_of(json_object_get(record, "time"), parts[i]);
	assert_int_equal(sum, number_of(record, "duration_ns"));
	assert_int_equal(sum, 4 * BUILD_S - BUILD_MS);
	assert_int_equal(json_array_size(json_object_get(record, "states")), 1);
	assert_string_equal(
		text_of(json_array_get(json_object_get(record, "alerts"), 0), "description"),
		"unknown CA");
	json_decref(record);
	trace_close(trace);
	build_free(&b);
}

/* What was seen from outside reaches the judges; of a past look, only what still holds. */
static void test_subject_takes_the_look_over(void **state)
{
	struct kernel_view view = {.socket = {.ticks = 1, .inq = 9},
				   .wait = TLSTALL_WAIT_OTHER_FD,
				   .syscall = "read",
				   .fd = 4};
	struct tlstall_handshake *h;
	struct subject subject;
	struct trace *trace;
	struct build b;

	(void)state;
	h = build_abandoned(&b);
	trace = build_open(&b);
	subject_look(trace, h, &view, &subject);
	assert_int_equal(subject.facts.live.inq, 9);
	assert_int_equal(subject.facts.wait, TLSTALL_WAIT_OTHER_FD);
	assert_string_equal(subject.facts.wait_syscall, "read");
	assert_int_equal(subject.facts.wait_fd, 4);
	view.syscall[0] = '\0';
	/* it ended 2 s later, and nothing arrived meanwhile */
	view.at = h->end - 2 * BUILD_S;
	view.socket.last_data_recv_ms = 10;
	subject_look(trace, h, &view, &subject);
	assert_null(subject.facts.wait_syscall);
	assert_int_equal(subject.facts.live.last_data_recv_ms, 2010);
	/* a read that began after the end, and was seen in its 600th ms, hangs still */
	h->enter = h->end;
	view.at = h->end + 600 * BUILD_MS;
	subject_look(trace, h, &view, &subject);
	assert_true(subject.facts.in_op_ns > BUILD_S);
	assert_int_equal(subject.facts.in_op_ns / BUILD_MS,
			 600 + subject.facts.live.last_data_recv_ms - 10);
	h->enter = 0;
	view.at = 0;
	view.past = true;
	subject_look(trace, h, &view, &subject);
	assert_int_equal(subject.facts.live.ticks, 0);
	assert_int_equal(subject.facts.seen.inq, 9);
	assert_null(subject.facts.then); /* the time is unknown */
	view.at = h->start + BUILD_S;
	view.then = *h;
	subject_look(trace, h, &view, &subject);
	assert_ptr_equal(subject.facts.then, &subject.then);
	assert_int_equal(subject.then.wait, TLSTALL_WAIT_OTHER_FD);
	assert_int_equal(subject.then.age_ns, 1 * BUILD_S);
	trace_close(trace);
	build_free(&b);
}

/* Exec keeps the process id, but its program counts handshakes from 1 again. */
static void test_handshakes_of_later_images_have_other_ids(void **state)
{
	json_int_t ids[2];

	(void)state;
	for (uint32_t image = 0; image < 2; image++) {
		struct tlstall_handshake *h;
		struct subject subject;
		struct trace *trace;
		struct build b;
		struct json_line line = {0};
		json_t *record;

		build_trace(&b, NULL);
		b.header->image = image;
		h = build_handshake(&b, 0x5000, BUILD_MS);
		trace = build_open(&b);
		subject_make(trace, h, NULL, &subject);
		record_handshake(&line, &subject);
		record = parsed(&line);
		json_line_free(&line);
		ids[image] = number_of(record, "handshake");
		json_decref(record);
		trace_close(trace);
		build_free(&b);
	}
	assert_int_equal(ids[0], 1);
	assert_int_not_equal(ids[0], ids[1]);
}

/* ---- subjects and paragraphs ------------------------------------------------------- */

static bool is_bad(enum tlstall_outcome outcome, uint64_t duration, uint32_t flags)
{
	struct tlstall_handshake *h;
	struct subject subject;
	struct trace *trace;
	struct build b;
	bool bad;

	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	build_call(&b, h, "SSL_connect", BUILD_MS, duration, 1, BUILD_NONE);
	build_end(&b, h, BUILD_MS + duration, outcome);
	h->flags |= flags;
	h->first_read_error = BUILD_SSL;
	trace = build_open(&b);
	subject_make(trace, h, NULL, &subject);
	bad = subject_is_bad(&subject);
	trace_close(trace);
	build_free(&b);
	return bad;
}

static void test_what_is_worth_a_paragraph(void **state)
{
	(void)state;
	assert_false(is_bad(TLSTALL_OUTCOME_OK, 5 * BUILD_MS, 0));
	assert_true(is_bad(TLSTALL_OUTCOME_OK, 2 * BUILD_S, 0));
	assert_true(is_bad(TLSTALL_OUTCOME_OK, 5 * BUILD_MS, TLSTALL_HS_FIRST_READ));
	assert_true(is_bad(TLSTALL_OUTCOME_FAILED, BUILD_MS, 0));
	assert_true(is_bad(TLSTALL_OUTCOME_ABANDONED, BUILD_MS, 0));
}

/* Columns of the longest line: every line except code must fit a terminal. */
static size_t widest(const char *text)
{
	size_t most = 0;

	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		if (strcspn(line, "\n") > most)
			most = strcspn(line, "\n");
	return most;
}

static char *paragraph_of(struct build *b, const struct tlstall_handshake *h, bool color)
{
	struct trace *trace = build_open(b);
	struct subject subject;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	subject_make(trace, h, NULL, &subject);
	paragraph_write(out, &subject, NULL, color);
	fclose(out);
	trace_close(trace);
	return text;
}

static void test_paragraph(void **state)
{
	struct tlstall_handshake *h;
	struct build b;
	char *text;

	(void)state;
	h = build_abandoned(&b);
	h->flags |= TLSTALL_HS_FREED;
	text = paragraph_of(&b, h, false);
	assert_non_null(strstr(text, "curl[4123]"));
	assert_non_null(strstr(text, "127.0.0.1:8443 (example.org)"));
	assert_non_null(strstr(text, "4 s, then given up (SSL_free)"));
	assert_non_null(strstr(text, "SSLv3/TLS write client hello"));
	assert_non_null(strstr(text, "1 SSL_connect, answered by 1 WANT_READ, no retry"));
	assert_null(strchr(text, '\033'));
	assert_true(widest(text) <= 80);
	free(text);
	text = paragraph_of(&b, h, true);
	assert_non_null(strstr(text, "\033["));
	free(text);
	build_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_record_of_a_call),
		cmocka_unit_test(test_error_classes),
		cmocka_unit_test(test_record_of_a_handshake),
		cmocka_unit_test(test_subject_takes_the_look_over),
		cmocka_unit_test(test_handshakes_of_later_images_have_other_ids),
		cmocka_unit_test(test_what_is_worth_a_paragraph),
		cmocka_unit_test(test_paragraph),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
