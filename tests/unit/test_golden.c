/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace files of every format version stay readable forever: see tests/golden/README.md.
 * `test_golden --write FILE` makes the file of this version; its clock and ids are fixed, so the
 * bytes are always the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "trace/reader.h"
#include "unit/build_trace.h"

#define TEXT(x) TEXT_OF(x)
#define TEXT_OF(x) #x
#define THIS_VERSION "tests/golden/" TEXT(TLSTALL_MAJOR) "." TEXT(TLSTALL_MINOR) ".tlstall"

/* ---- what is in it -------------------------------------------------------------- */

static const uint64_t frames[] = {0x7f4200001234, 0x555500001111, 0x7f4300005678};

/* A client that succeeded: TLS 1.3, resumed. */
static void build_good(struct build *b)
{
	struct tlstall_handshake *h = build_handshake(b, 0x5000, 1 * BUILD_MS);

	h->created = BUILD_MS / 2;
	build_reach(b, h, "SSLv3/TLS write client hello", 1 * BUILD_MS + 80 * BUILD_US);
	build_call(b, h, "SSL_connect", 1 * BUILD_MS, 100 * BUILD_US, -1, BUILD_WANT_READ);
	build_get_error(b, h, 1 * BUILD_MS + 101 * BUILD_US, -1, BUILD_WANT_READ);
	build_reach(b, h, "SSLv3/TLS read server hello", 21 * BUILD_MS);
	build_reach(b, h, "SSL negotiation finished successfully", 22 * BUILD_MS);
	build_call(b, h, "SSL_connect", 21 * BUILD_MS, 1 * BUILD_MS, 1, BUILD_NONE);
	h->bytes_in = 4321;
	h->bytes_out = 597;
	h->gap_waiting = 19900 * BUILD_US;
	h->version = 0x0304;
	h->cipher = build_string(b, "TLS_AES_256_GCM_SHA384");
	h->group = build_string(b, "X25519MLKEM768");
	strcpy(h->alpn, "http/1.1");
	h->flags = TLSTALL_HS_RESUMED | TLSTALL_HS_PEER_CERT;
	h->stack_first = build_stack(b, frames, 3);
	h->at_start = (struct tlstall_socket){.ticks = 2 * BUILD_MS,
					      .tcp_state = 1,
					      .rtt_us = 19800,
					      .unacked = 1,
					      .inq = UINT32_MAX,
					      .outq = 597,
					      .data_segs_in = 3};
	h->flags |= TLSTALL_HS_GAP_CPU;
	h->gap_cpu_ns = 17000000;
	h->connected_ms = 12;
	build_end(b, h, 22 * BUILD_MS, TLSTALL_OUTCOME_OK);
}

/* A server in a forked child, refused by its peer, with a stale error queue. */
static void build_failed(struct build *b)
{
	struct tlstall_handshake *h = build_handshake(b, 0x6000, 30 * BUILD_MS);
	struct tlstall_event queue = {.type = TLSTALL_EVENT_QUEUE,
				      .function = build_function(b, "SSL_accept"),
				      .ticks = 30 * BUILD_MS,
				      .ssl = 0x6000,
				      .slot = 1,
				      .handshake = 2,
				      .ossl_error = 0x0a000086,
				      .process = 1};
	struct tlstall_event *call;

	h->role = TLSTALL_ROLE_SERVER;
	h->process = build_process(b, 4200, "worker");
	h->tid = 4201;
	h->peer = (struct tlstall_address){.family = AF_INET6, .port = 54321, .addr = {[15] = 1}};
	h->flags = TLSTALL_HS_STALE_QUEUE;
	h->stale_error = 0x0a000086;
	build_event(b, h, &queue);
	build_reach(b, h, "SSLv3/TLS write server done", 31 * BUILD_MS);
	call = build_call(b, h, "SSL_accept", 30 * BUILD_MS, 5 * BUILD_MS, -1, BUILD_SSL);
	call->ossl_error = h->ossl_error = 0x0a000418;
	call->flags |= TLSTALL_EV_STALE_QUEUE;
	h->reason = build_string(b, "tlsv1 alert unknown ca");
	h->alerts[0] =
		(struct tlstall_alert){.at_us = 4900, .by_peer = 1, .level = 2, .description = 48};
	h->alert_count = 1;
	h->failed_state = h->state;
	build_end(b, h, 35 * BUILD_MS, TLSTALL_OUTCOME_FAILED);
	build_get_error(b, h, 36 * BUILD_MS, 0, BUILD_SYSCALL)->misuse = TLSTALL_MISUSE_RET;
	h->misuse = TLSTALL_MISUSE_RET;
	h->fatal_calls = 15232;
	h->fatal_last = 37 * BUILD_MS;
}

/* A client that spins: the rings have wrapped, and it still hangs. */
static void build_spinning(struct build *b)
{
	struct tlstall_handshake *h = build_handshake(b, 0x7000, 40 * BUILD_MS);

	build_reach(b, h, "SSLv3/TLS write client hello", 40 * BUILD_MS + 10);
	for (unsigned i = 0; i < 40; i++)
		build_call(b, h, "SSL_do_handshake", (40 + i) * BUILD_MS, 10 * BUILD_US, -1,
			   BUILD_WANT_READ);
	h->run = h->longest_run = 40;
	h->run_start = 40 * BUILD_MS;
	h->enter = 90 * BUILD_MS;
	h->read.bio_class = h->write.bio_class = TLSTALL_BIO_CUSTOM;
	h->read.fd = h->write.fd = -1;
}

/* Two plugins, one after the other, at the same addresses; this stack is of the second. */
static void build_plugins(struct build *b)
{
	const uint64_t frame = 0x7f0000001234;
	uint32_t second, id = build_stack(b, &frame, 1);

	build_module(b, "/opt/alpha.so", 0x7f0000000000, 0x7f0000010000);
	second = build_module(b, "/opt/gamma.so", 0x7f0000000000, 0x7f0000010000);
	b->stacks[id].hash |= (second + 1ull) << 48;
	b->handshakes[1].stack_fail = id;
}

static void build_golden(struct build *b)
{
	build_trace(b, &(struct build_plan){.opening = 32, .rest = 16});
	/* a counter of half a nanosecond per tick */
	b->header->clock_source = TLSTALL_CLOCK_TSC;
	b->header->first = (struct tlstall_clock_pair){1000, 5000, BUILD_EPOCH_NS};
	b->header->last = (struct tlstall_clock_pair){1000 + 2 * BUILD_S, 5000 + BUILD_S,
						      BUILD_EPOCH_NS + BUILD_S};
	b->header->last_sequence = 2;
	b->header->forked = 1;
	b->header->exited = 0;
	b->header->bad_settings = 1u << 2;
	b->header->lost.strings = 3;
	b->header->pid_namespace = 4026532999;
	b->header->time_namespace = 4026533000;
	b->header->boottime_offset_ns = -86400000000000;
	b->header->tag = 0xfedcba9876543210;
	b->header->keep = TLSTALL_KEEP_BAD;
	b->header->lost_memory = 2;
	b->header->handshakes_before = 40;
	build_module(b, "/usr/bin/curl", 0x555500000000, 0x555500100000);
	b->modules[0].build_id_size = 3;
	memcpy(b->modules[0].build_id, "\1\2\3", 3);
	build_good(b);
	build_failed(b);
	build_spinning(b);
	build_plugins(b);
	b->processes[0].exited = 0;
	b->processes[0].exit_ticks = 0;
	b->processes[0].pid_namespace = 4026532999;
	build_look(b, &(struct tlstall_look){
			      .handshake = 3,
			      .seen = 95 * BUILD_MS,
			      .socket = {.ticks = 1, .tcp_state = 1, .inq = 7, .rtt_us = 300},
			      .peer = {.family = AF_INET, .port = 8443, .addr = {127, 0, 0, 1}},
			      .fd = 5,
			      .wait = TLSTALL_WAIT_ON_SOCKET,
			      .syscall = "read",
			      .at = 94 * BUILD_MS,
			      .threads = 3,
			      .enter = 40 * BUILD_MS,
			      .bytes_in = 51,
			      .last_error = 2,
			      .tcp = {.known = 1, .notsent = 517, .out_of_order = 2},
			      .cpu_ns = 7 * BUILD_MS,
			      .cpu_ran_ns = 5 * BUILD_MS,
			      .cpu_over_ns = 50 * BUILD_MS,
			      .stack = "read < BIO_read < SSL_connect",
		      });
}

/* ---- what is read from it ----------------------------------------------------------- */

static void check_header(struct trace *trace)
{
	const struct tlstall_header *h = trace_header(trace);
	struct tlstall_process process;
	struct tlstall_module module;

	assert_int_equal(h->major, 1);
	assert_int_equal(h->pid, 4123);
	assert_int_equal(h->uid, 1000);
	assert_int_equal(h->start_time, 8877);
	assert_int_equal(h->control.mode, TLSTALL_MODE_ALL);
	assert_int_equal(h->bad_settings, 4);
	assert_int_equal(h->lost.strings, 3);
	assert_int_equal(h->handshakes, 3);
	assert_int_equal(h->libssl_count, 1);
	assert_string_equal(h->libssl[0].version, "OpenSSL 3.0.19 27 Jan 2026");
	assert_string_equal(h->comm, "curl");
	assert_string_equal(h->host, "example");
	assert_string_equal(h->program, "/usr/bin/curl");
	assert_int_equal(trace_process(trace, 1, &process), 0);
	assert_int_equal(process.pid, 4200);
	assert_int_equal(process.parent, 4123);
	assert_int_equal(trace_module(trace, 0, &module), 0);
	assert_string_equal(module.path, "/usr/bin/curl");
	assert_int_equal(module.build_id_size, 3);
	assert_memory_equal(module.build_id, "\1\2\3", 3);
	assert_int_equal(trace_damage(trace), 0);
}

static void check_time(struct trace *trace, uint64_t seen)
{
	assert_false(trace_is_local(trace));
	assert_int_equal(trace_span_ns(trace, 1000000), 500000);
	assert_int_equal(trace_realtime_ns(trace, 1000), 1790000000000000000);
	assert_int_equal(trace_realtime_ns(trace, 2001000), 1790000000001000000);
	/* killed: the last thing known about it; its child exited */
	assert_int_equal(trace_horizon(trace, 0), seen);
	assert_int_equal(trace_horizon(trace, 1), 10000000000);
}

static void check_good(struct trace *trace)
{
	struct tlstall_handshake h;
	struct tlstall_stack stack;

	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_int_equal(h.number, 1);
	assert_int_equal(h.outcome, TLSTALL_OUTCOME_OK);
	assert_int_equal(h.role, TLSTALL_ROLE_CLIENT);
	assert_int_equal(h.status, TLSTALL_SLOT_DONE);
	assert_int_equal(h.ssl, 0x5000);
	assert_int_equal(h.created, 500000);
	assert_int_equal(h.start, 1000000);
	assert_int_equal(h.end, 22000000);
	assert_int_equal(h.calls, 2);
	assert_int_equal(h.retries, 1);
	assert_int_equal(h.bytes_in, 4321);
	assert_int_equal(h.bytes_out, 597);
	assert_int_equal(h.gap_waiting, 19900000);
	assert_int_equal(h.version, 0x0304);
	assert_int_equal(h.flags & 0xffff, 0x0300);
	assert_string_equal(trace_string(trace, h.cipher), "TLS_AES_256_GCM_SHA384");
	assert_string_equal(trace_string(trace, h.group), "X25519MLKEM768");
	assert_string_equal(trace_string(trace, h.read.name), "socket");
	assert_string_equal(h.sni, "example.org");
	assert_string_equal(h.alpn, "http/1.1");
	assert_int_equal(h.peer.family, AF_INET);
	assert_int_equal(h.peer.port, 8443);
	assert_memory_equal(h.peer.addr, "\177\0\0\1", 4);
	assert_int_equal(h.read.fd, 5);
	assert_int_equal(h.at_start.rtt_us, 19800);
	assert_int_equal(h.at_start.outq, 597);
	assert_int_equal(h.state_count, 3);
	assert_string_equal(trace_state_name(trace, TLSTALL_STATE_ID(h.states[1])),
			    "SSLv3/TLS read server hello");
	assert_int_equal(TLSTALL_STATE_TICKS(h.states[1]), 20000000);
	assert_int_equal(trace_stack(trace, h.stack_first, &stack), 0);
	assert_int_equal(stack.count, 3);
	assert_int_equal(stack.frames[2], 0x7f4300005678);
}

static void check_failed(struct trace *trace)
{
	struct tlstall_handshake h;

	assert_int_equal(trace_handshake(trace, 1, &h), 0);
	assert_int_equal(h.outcome, TLSTALL_OUTCOME_FAILED);
	assert_int_equal(h.role, TLSTALL_ROLE_SERVER);
	assert_int_equal(h.process, 1);
	assert_int_equal(h.tid, 4201);
	assert_int_equal(h.flags, TLSTALL_HS_STALE_QUEUE);
	assert_int_equal(h.stale_error, 0x0a000086);
	assert_int_equal(h.ossl_error, 0x0a000418);
	assert_string_equal(trace_string(trace, h.reason), "tlsv1 alert unknown ca");
	assert_int_equal(h.alert_count, 1);
	assert_int_equal(h.alerts[0].by_peer, 1);
	assert_int_equal(h.alerts[0].description, 48);
	assert_int_equal(h.alerts[0].at_us, 4900);
	assert_int_equal(h.peer.family, AF_INET6);
	assert_int_equal(h.peer.port, 54321);
	assert_int_equal(h.misuse, TLSTALL_MISUSE_RET);
	assert_string_equal(trace_state_name(trace, h.failed_state), "SSLv3/TLS write server done");
}

static void check_spinning(struct trace *trace)
{
	struct tlstall_handshake h;

	assert_int_equal(trace_handshake(trace, 2, &h), 0);
	assert_int_equal(h.outcome, TLSTALL_OUTCOME_IN_FLIGHT);
	assert_int_equal(h.status, TLSTALL_SLOT_LIVE);
	assert_int_equal(h.enter, 90000000);
	assert_int_equal(h.want_read, 40);
	assert_int_equal(h.longest_run, 40);
	assert_int_equal(h.read.bio_class, TLSTALL_BIO_CUSTOM);
	assert_int_equal(h.read.fd, -1);
	assert_int_equal(trace_handshake(trace, 3, &h), 1);
}

static void assert_event(struct trace *trace, struct trace_cursor *cursor,
			 enum tlstall_event_type type, const char *function, uint32_t handshake,
			 uint64_t end)
{
	struct tlstall_event event;

	assert_int_equal(trace_cursor_next(cursor, &event), 0);
	assert_int_equal(event.type, type);
	assert_string_equal(trace_function_name(trace, event.function), function);
	assert_int_equal(event.handshake, handshake);
	assert_int_equal(trace_event_end(&event), end);
}

static void check_events(struct trace *trace)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;

	assert_int_equal(trace_cursor_open(trace, &cursor), 0);
	assert_event(trace, cursor, TLSTALL_EVENT_CALL, "SSL_connect", 1, 1100000);
	assert_event(trace, cursor, TLSTALL_EVENT_GET_ERROR, "SSL_get_error", 1, 1101020);
	assert_event(trace, cursor, TLSTALL_EVENT_CALL, "SSL_connect", 1, 22000000);
	assert_event(trace, cursor, TLSTALL_EVENT_END, "SSL_connect", 1, 22000000);
	assert_event(trace, cursor, TLSTALL_EVENT_QUEUE, "SSL_accept", 2, 30000000);
	assert_event(trace, cursor, TLSTALL_EVENT_CALL, "SSL_accept", 2, 35000000);
	assert_event(trace, cursor, TLSTALL_EVENT_END, "SSL_accept", 2, 35000000);
	assert_event(trace, cursor, TLSTALL_EVENT_GET_ERROR, "SSL_get_error", 2, 36000020);
	/* of the third: the first 16 and the last 16 events */
	for (unsigned i = 0; i < 40; i += i == 15 ? 9 : 1) {
		assert_event(trace, cursor, TLSTALL_EVENT_CALL, "SSL_do_handshake", 3,
			     (40 + i) * 1000000 + 10000);
	}
	assert_int_equal(trace_cursor_next(cursor, &event), 1);
	assert_int_equal(trace_cursor_lost(cursor), 8);
	trace_cursor_close(cursor);
}

static void check_look(struct trace *trace)
{
	struct tlstall_handshake h;
	struct tlstall_look look;

	assert_int_equal(trace_handshake(trace, 1, &h), 0);
	assert_true(trace_look(trace, &h, &look) > 0);
	assert_int_equal(trace_handshake(trace, 2, &h), 0);
	assert_int_equal(trace_look(trace, &h, &look), 0);
	assert_int_equal(look.handshake, 3);
	assert_int_equal(look.seen, 95000000);
	assert_int_equal(look.socket.ticks, 1);
	assert_int_equal(look.socket.inq, 7);
	assert_int_equal(look.peer.port, 8443);
	assert_int_equal(look.fd, 5);
	assert_int_equal(look.wait, TLSTALL_WAIT_ON_SOCKET);
	assert_int_equal(look.moved, 0);
	assert_string_equal(look.syscall, "read");
}

static void check_short_look(struct trace *trace)
{
	struct tlstall_handshake h;
	struct tlstall_look look;

	assert_int_equal(trace_handshake(trace, 2, &h), 0);
	assert_int_equal(trace_look(trace, &h, &look), 0);
	assert_int_equal(look.at, 0);
	assert_int_equal(look.tcp.known, 0);
	assert_string_equal(look.stack, "");
}

static void check_all(struct trace *trace, uint64_t seen)
{
	check_header(trace);
	check_time(trace, seen);
	check_good(trace);
	check_failed(trace);
	check_spinning(trace);
	check_events(trace);
}

/* Without a look from outside, the op in flight is the last thing known. */
static void check_1_0(struct trace *trace)
{
	struct tlstall_handshake h;
	struct tlstall_look look;

	check_all(trace, 90000000);
	assert_int_equal(trace_handshake(trace, 2, &h), 0);
	assert_true(trace_look(trace, &h, &look) > 0);
}

static void check_1_1(struct trace *trace)
{
	check_all(trace, 95000000);
	check_look(trace);
}

static void check_1_2(struct trace *trace)
{
	struct tlstall_handshake h;

	check_1_1(trace);
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_int_equal(h.at_start.data_segs_in, 3);
}

static void check_1_1_alone(struct trace *trace)
{
	check_1_1(trace);
	check_short_look(trace);
}

static void check_1_2_alone(struct trace *trace)
{
	check_1_2(trace);
	check_short_look(trace);
}

static void check_look_1_3(struct trace *trace)
{
	struct tlstall_handshake h;
	struct tlstall_look look;

	assert_int_equal(trace_handshake(trace, 2, &h), 0);
	assert_int_equal(trace_look(trace, &h, &look), 0);
	assert_int_equal(look.at, 94 * BUILD_MS);
	assert_int_equal(look.threads, 3);
	assert_int_equal(look.enter, 40 * BUILD_MS);
	assert_int_equal(look.bytes_in, 51);
	assert_int_equal(look.last_error, 2);
	assert_int_equal(look.tcp.notsent, 517);
	assert_int_equal(look.tcp.out_of_order, 2);
	assert_int_equal(look.cpu_over_ns, 50 * BUILD_MS);
	assert_string_equal(look.stack, "read < BIO_read < SSL_connect");
}

static void check_1_3(struct trace *trace)
{
	const struct tlstall_header *header = trace_header(trace);
	struct tlstall_process process;
	struct tlstall_handshake h;

	check_1_2(trace);
	assert_int_equal(header->pid_namespace, 4026532999);
	assert_int_equal(header->time_namespace, 4026533000);
	assert_int_equal(header->boottime_offset_ns, -86400000000000);
	assert_int_equal(header->tag, 0xfedcba9876543210);
	assert_int_equal(header->keep, TLSTALL_KEEP_BAD);
	assert_int_equal(header->lost_memory, 2);
	assert_int_equal(trace_process(trace, 0, &process), 0);
	assert_int_equal(process.pid_namespace, 4026532999);
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_true(h.flags & TLSTALL_HS_GAP_CPU);
	assert_int_equal(h.gap_cpu_ns, 17000000);
	assert_int_equal(h.connected_ms, 12);
	assert_int_equal(trace_handshake(trace, 1, &h), 0);
	assert_int_equal(h.fatal_calls, 15232);
	assert_int_equal(h.fatal_last, 37 * BUILD_MS);
	check_look_1_3(trace);
}

static void check_1_4(struct trace *trace)
{
	struct trace_modules modules;
	struct tlstall_handshake h;
	struct tlstall_stack stack;

	check_1_3(trace);
	assert_int_equal(trace_handshake(trace, 1, &h), 0);
	assert_int_equal(trace_stack(trace, h.stack_fail, &stack), 0);
	assert_int_equal(trace_modules(trace, &modules), 0);
	assert_int_equal(modules.count, 3);
	assert_string_equal(trace_module_at(&modules, &stack, stack.frames[0])->path, "/opt/gamma.so");
	trace_modules_free(&modules);
}

static void check_1_5(struct trace *trace)
{
	check_1_4(trace);
	assert_int_equal(trace_header(trace)->handshakes_before, 40);
}

/* ---- tests --------------------------------------------------------------------------------- */

static const struct {
	const char *path;
	void (*check)(struct trace *trace);
} golden[] = {
	{"tests/golden/1.0.tlstall", check_1_0},
	{"tests/golden/1.1.tlstall", check_1_1_alone},
	{"tests/golden/1.2.tlstall", check_1_2_alone},
	{"tests/golden/1.3.tlstall", check_1_3},
	{"tests/golden/1.4.tlstall", check_1_4},
	{"tests/golden/1.5.tlstall", check_1_5},
};

static void test_read_for_ever(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		struct trace *trace;

		assert_int_equal(trace_open_path(golden[i].path, &trace), 0);
		golden[i].check(trace);
		trace_close(trace);
	}
}

/* A file written today equals this version's file byte for byte. */
static void test_as_it_was_written(void **state)
{
	FILE *file = fopen(THIS_VERSION, "rb");
	struct build b;
	unsigned char *bytes;

	(void)state;
	assert_non_null(file);
	build_golden(&b);
	bytes = malloc(b.size + 1);
	assert_int_equal(fread(bytes, 1, b.size + 1, file), b.size);
	assert_memory_equal(bytes, b.bytes, b.size);
	free(bytes);
	fclose(file);
	build_free(&b);
}

static int write_golden(const char *path)
{
	struct build b;
	int error;

	build_golden(&b);
	error = build_write(&b, path);
	if (error)
		perror(path);
	build_free(&b);
	return error != 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_for_ever),
		cmocka_unit_test(test_as_it_was_written),
	};

	if (argc == 3 && !strcmp(argv[1], "--write"))
		return write_golden(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
