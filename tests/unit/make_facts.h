/* SPDX-License-Identifier: Apache-2.0 */
/* Handmade facts of one handshake, for tests of the diagnosis. */
#ifndef TESTS_UNIT_MAKE_FACTS_H
#define TESTS_UNIT_MAKE_FACTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diagnosis/diagnosis.h"

#define MS 1000000ull
#define S (1000 * MS)

enum {
	NONE,
	SSL,
	WANT_READ,
	WANT_WRITE,
	WANT_X509_LOOKUP,
	SYSCALL,
	ZERO_RETURN,
	WANT_CONNECT,
	WANT_ACCEPT,
	WANT_ASYNC,
	WANT_ASYNC_JOB,
	WANT_CLIENT_HELLO_CB
};

/* A client on a non-blocking socket that sent its ClientHello and has waited for `ns`. */
static inline struct facts waiting_client(uint64_t ns)
{
	struct facts f = {
		.role = TLSTALL_ROLE_CLIENT,
		.calls = 1,
		.want_read = 1,
		.get_errors = 1,
		.longest_run = 1,
		.last_ret = -1,
		.last_error = WANT_READ,
		.bytes_out = 517,
		.first_flight = 517,
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
		.read = {.type = 0x505, .fd = 5, .bio_class = TLSTALL_BIO_SOCKET},
		.age_ns = ns + 1 * MS,
		.idle_ns = ns,
		.since_progress_ns = ns,
		.in_call_ns = 1 * MS,
		.longest_call_ns = 1 * MS,
		.state = "SSLv3/TLS write client hello",
		.last_function = "SSL_connect",
		.last_kind = TLSTALL_KIND_CONNECT,
		.libssl_version = 0x300000d0,
		.process_alive = true,
		.wait = TLSTALL_WAIT_NOT_LOOKED,
		.wait_fd = -1,
	};

	f.write = f.read;
	f.cpu_ns = 1 * MS;
	return f;
}

/* The same on a blocking socket: the call has not returned. */
static inline struct facts blocked_client(uint64_t ns)
{
	struct facts f = waiting_client(ns);

	f.calls = f.want_read = f.longest_run = 0;
	f.bytes_out = f.first_flight = 0;
	f.last_error = NONE;
	f.read.blocking = f.write.blocking = 1;
	f.entered = true;
	f.in_op_ns = f.age_ns = ns;
	f.idle_ns = f.in_call_ns = f.longest_call_ns = f.cpu_ns = 0;
	f.in_call_function = "SSL_connect";
	f.in_call_kind = TLSTALL_KIND_CONNECT;
	return f;
}

/* A server that waits for its client's ClientHello. */
static inline struct facts as_server(struct facts f)
{
	f.role = TLSTALL_ROLE_SERVER;
	f.bytes_out = f.first_flight = 0;
	f.state = "before SSL initialization";
	f.last_function = f.last_function ? "SSL_accept" : NULL;
	f.in_call_function = f.in_call_function ? "SSL_accept" : NULL;
	return f;
}

/* Succeeded after `ns`, with two calls. */
static inline struct facts finished(uint64_t ns)
{
	struct facts f = waiting_client(0);

	f.outcome = TLSTALL_OUTCOME_OK;
	f.ended = true;
	f.calls = 2;
	f.retries = 1;
	f.bytes_in = 3000;
	f.last_ret = 1;
	f.last_error = NONE;
	f.age_ns = ns;
	f.state = "SSL negotiation finished successfully";
	return f;
}

/* Finished after one gap of `gap` ns, with data ready for `ready` ns of it. */
static inline struct facts finished_after_gap(uint64_t gap, uint64_t ready)
{
	struct facts f = finished(gap + 1 * MS);

	f.longest_gap_ns = gap;
	f.gap_waiting_ns = gap - ready;
	f.gap_ready_ns = ready;
	f.longest_gap_want = WANT_READ;
	f.longest_gap_ready_ms = (uint32_t)(ready / MS);
	return f;
}

static inline struct facts failed(uint8_t error, const char *reason)
{
	struct facts f = finished(5 * MS);

	f.outcome = TLSTALL_OUTCOME_FAILED;
	f.last_ret = -1;
	f.last_error = error;
	f.reason = reason;
	f.state = "error";
	f.failed_state = "SSLv3/TLS write client hello";
	return f;
}

/* Freed `after` ns after its last call. */
static inline struct facts freed(struct facts f, uint64_t after)
{
	f.outcome = TLSTALL_OUTCOME_ABANDONED;
	f.flags |= TLSTALL_HS_FREED;
	f.ended = true;
	f.free_after_ns = after;
	return f;
}

/* An established connection: everything is acknowledged, and nothing has arrived. */
static inline struct tlstall_socket quiet_socket(void)
{
	return (struct tlstall_socket){
		.ticks = 1,
		.tcp_state = 1,
		.bytes_acked = 518,
		.rtt_us = 400,
		.rto_us = 204000,
		.snd_mss = 1448,
		.last_data_sent_ms = 1000,
		.last_data_recv_ms = 1000,
		.last_ack_recv_ms = 1000,
	};
}

/* A server's: it has brought a ClientHello, so long ago, and carried nothing out. */
static inline struct tlstall_socket accepted_socket(uint32_t ago_ms)
{
	struct tlstall_socket n = quiet_socket();

	n.bytes_acked = 0;
	n.bytes_received = 517;
	n.last_data_recv_ms = ago_ms;
	return n;
}

static inline void with_alert(struct facts *f, bool by_peer, uint8_t description)
{
	f->alerts[f->alert_count++] = (struct tlstall_alert){
		.at_us = 400, .by_peer = by_peer, .level = 2, .description = description};
}

/* As the tools do: derived facts first, then the verdicts. */
static inline unsigned judge_facts(const struct facts *f, struct verdict *v, unsigned room)
{
	struct facts settled = *f;

	facts_settle(&settled);
	return diagnose(&settled, v, room);
}

/* The first verdict; checks that it is well formed. */
static inline struct verdict first_verdict(const struct facts *f)
{
	struct verdict v[4];
	unsigned count = judge_facts(f, v, 4);

	assert_in_range(count, 1, 4);
	for (unsigned i = 0; i < count; i++) {
		assert_true(v[i].evidence_count > 0);
		assert_true(v[i].advice && *v[i].advice);
		for (unsigned e = 0; e < v[i].evidence_count; e++)
			assert_true(v[i].evidence[e][0]);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(v[i].cause, v[j].cause);
	}
	return v[0];
}

static inline bool has_verdict(const struct facts *f, enum cause cause)
{
	struct verdict v[CAUSE_COUNT];
	unsigned count = judge_facts(f, v, CAUSE_COUNT);

	for (unsigned i = 0; i < count; i++) {
		if (v[i].cause == cause)
			return true;
	}
	return false;
}

static inline bool says(const struct verdict *v, const char *words)
{
	for (unsigned i = 0; i < v->evidence_count; i++) {
		if (strstr(v->evidence[i], words))
			return true;
	}
	return false;
}

static inline bool doubts(const struct verdict *v, enum cause cause)
{
	for (unsigned i = 0; i < v->not_told_from_count; i++) {
		if (v->not_told_from[i] == cause)
			return true;
	}
	return false;
}

/* Compares names, so that a failure is readable. */
#define assert_cause(facts, name) assert_string_equal(cause_name(first_verdict(facts).cause), #name)
#define assert_not_cause(facts, name) assert_false(has_verdict(facts, CAUSE_##name))

#endif
