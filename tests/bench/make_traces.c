/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a trace of any size without running anything: make_traces FILE COUNT [hostile | fleet HOST
 * BUILD]
 *
 * Three in a hundred handshakes fail or stall, in six ways by turns; with "hostile", texts are
 * what an attacker would send. The same arguments give the same bytes.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tlstall/trace.h"

#define US 1000ull
#define MS (1000 * US)
#define S (1000 * MS)

#define EVENTS 4 /* per handshake: three calls and the end */
#define EPOCH_NS (1790000000 * S)

enum kind { FINE, SILENT, LATE, REFUSED, UNACKED, SPINNING, WAITING, KINDS };

static const char *const functions[] = {"SSL_connect", "SSL_accept", "SSL_do_handshake"};
static const uint8_t kinds[] = {TLSTALL_KIND_CONNECT, TLSTALL_KIND_ACCEPT,
				TLSTALL_KIND_DO_HANDSHAKE};
static const char *const states[] = {
	"",
	"before SSL initialization",
	"SSLv3/TLS write client hello",
	"SSLv3/TLS read server hello",
	"TLSv1.3 read encrypted extensions",
	"SSLv3/TLS read server certificate",
	"TLSv1.3 read server certificate verify",
	"SSLv3/TLS read finished",
	"SSLv3/TLS write finished",
};
static const char *const strings[] = {
	"",
	"socket",
	"TLS_AES_256_GCM_SHA384",
	"ECDHE-RSA-AES128-GCM-SHA256",
	"X25519",
	"certificate verify failed",
	"ssl",
};
#define ATTACK "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
static const char *const names[] = {"api.example.org", "db.internal", "", "cdn.example.net"};

#define COUNT_OF(a) (sizeof(a) / sizeof(*(a)))

struct maker {
	FILE *out;
	uint64_t count;
	bool hostile, fleet;
	unsigned host, build; /* fleet */
	uint64_t position;
};

/* Fixed pseudorandom numbers: splitmix64. Each trace of a fleet has a seed of its own. */
static uint64_t seed;

static uint64_t scatter(uint64_t i)
{
	i += seed + 0x9e3779b97f4a7c15ull;
	i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9ull;
	i = (i ^ i >> 27) * 0x94d049bb133111ebull;
	return i ^ i >> 31;
}

/* One handshake every 2 ms, of 33 one is bad; a fleet has others. */
static uint64_t spacing = 2 * MS, bad_every = 33;

static uint64_t start_of(uint64_t i)
{
	return S + i * spacing + (seed ? scatter(~i) % spacing : 0);
}

static enum kind kind_of(uint64_t i)
{
	return i % bad_every == 7 ? (enum kind)(1 + i / bad_every % (KINDS - 1)) : FINE;
}

static void put(struct maker *maker, const void *bytes, size_t size)
{
	if (fwrite(bytes, size, 1, maker->out) != 1) {
		perror("make_traces");
		exit(1);
	}
	maker->position += size;
}

/* ---- header -------------------------------------------------------------------- */

static uint32_t power_of_two(uint64_t at_least)
{
	uint32_t n = 64;

	while (n < at_least)
		n *= 2;
	return n;
}

static void plan_sections(struct tlstall_header *header, uint64_t count)
{
	const uint32_t plan[TLSTALL_SECTION_COUNT][2] = {
		{64, sizeof(struct tlstall_function)},
		{256, sizeof(struct tlstall_string)},
		{256, sizeof(struct tlstall_string)},
		{4, sizeof(struct tlstall_process)},
		{4, sizeof(struct tlstall_module)},
		{4, sizeof(struct tlstall_stack)},
		{(uint32_t)count, sizeof(struct tlstall_handshake)},
		{power_of_two(count * EVENTS), sizeof(struct tlstall_event)},
		{64, sizeof(struct tlstall_event)},
	};
	uint64_t offset = sizeof(*header);

	header->section_count = TLSTALL_SECTION_COUNT;
	for (unsigned i = 0; i < TLSTALL_SECTION_COUNT; i++) {
		header->section[i] = (struct tlstall_section){offset, plan[i][0], plan[i][1]};
		offset += (uint64_t)plan[i][0] * plan[i][1];
	}
	header->file_size = offset;
}

static void make_header(struct tlstall_header *header, uint64_t count)
{
	uint64_t end = start_of(count) + 60 * S;

	*header = (struct tlstall_header){
		.magic = TLSTALL_MAGIC,
		.major = TLSTALL_MAJOR,
		.minor = TLSTALL_MINOR,
		.header_size = sizeof(*header),
		.byte_order = TLSTALL_BYTE_ORDER,
		.pointer_size = 8,
		.pid = 4123,
		.start_time = 8877,
		.clock_source = TLSTALL_CLOCK_MONOTONIC,
		.first = {S, S, EPOCH_NS},
		.last = {end, end, EPOCH_NS + end - S},
		.exited = 1,
		.exit_ticks = end,
		.comm = "example",
		.host = "bench",
		.program = "/usr/bin/example",
		.boot_id = "00000000-0000-0000-0000-000000000000",
		.opening_head = count * EVENTS,
		.handshakes = count,
		.function_count = COUNT_OF(functions),
		.state_count = COUNT_OF(states),
		.string_count = COUNT_OF(strings),
		.process_count = 1,
		.stack_count = 2,
	};
	plan_sections(header, count);
}

/* ---- a fleet ---------------------------------------------------------------------- */

#define HOUR (3600 * S)

/* Each host has one program; its second build came after an hour, and that of the first program is
 * bad. */
static void prepare_fleet(struct maker *maker, char **arguments)
{
	maker->fleet = true;
	maker->host = (unsigned)strtoul(arguments[0], NULL, 10);
	maker->build = (unsigned)strtoul(arguments[1], NULL, 10);
	seed = (maker->host * 2ull + maker->build + 1) << 32;
	spacing = HOUR / maker->count;
	bad_every = maker->build && maker->host % 4 == 0 ? 11 : 33;
}

static const char *program_of(const struct maker *maker)
{
	static const char *const programs[] = {"shop", "billing", "proxy", "mail"};

	return programs[maker->host % COUNT_OF(programs)];
}

static void set_fleet_header(const struct maker *maker, struct tlstall_header *header)
{
	header->pid += maker->build;
	header->first.realtime_ns += maker->build * HOUR;
	header->last.realtime_ns += maker->build * HOUR;
	header->module_count = 1;
	snprintf(header->host, sizeof(header->host), "host-%04u", maker->host);
	snprintf(header->comm, sizeof(header->comm), "%s", program_of(maker));
	snprintf(header->program, sizeof(header->program), "/usr/bin/%s", program_of(maker));
}

static void set_fleet_module(const struct maker *maker, struct tlstall_module *module)
{
	module->commit = 1;
	module->start = module->bias = 0x400000;
	module->end = 0x500000;
	module->build_id_size = 20;
	module->build_id[0] = (uint8_t)(maker->host % 4 + 1);
	module->build_id[19] = (uint8_t)(maker->build + 1);
	snprintf(module->path, sizeof(module->path), "/usr/bin/%s", program_of(maker));
}

/* What differs from one handshake to the next. There are four networks of 250 hosts. */
static void set_fleet_handshake(const struct maker *maker, uint64_t i, struct tlstall_handshake *h)
{
	const uint8_t address[] = {10, 20, (uint8_t)(maker->host / 250),
				   (uint8_t)(1 + maker->host % 250)};

	uint64_t r = scatter(i + maker->count);

	h->tid += (uint32_t)(r % 16);
	h->cpu_ns = 200 * US + r % (100 * US);
	h->bytes_in += h->bytes_in ? r / 11 % 8 : 0;
	h->local.family = AF_INET;
	h->local.port = h->role == TLSTALL_ROLE_SERVER ? 8443 : (uint16_t)(32768 + r % 28000);
	memcpy(h->local.addr, address, sizeof(address));
}

/* ---- tables ----------------------------------------------------------------------- */

static void put_table(struct maker *maker, const char *const *texts, size_t count, size_t room)
{
	for (size_t i = 0; i < room; i++) {
		struct tlstall_string entry = {.commit = i < count};

		if (i < count)
			snprintf(entry.text, sizeof(entry.text), "%s", texts[i]);
		if (maker->hostile && i == 5 && texts == strings)
			snprintf(entry.text, sizeof(entry.text), "<!--<script>\xff\xfe\x1b[2J");
		put(maker, &entry, sizeof(entry));
	}
}

static void put_tables(struct maker *maker, const struct tlstall_header *header)
{
	struct tlstall_process process = {.commit = 1,
					  .pid = 4123,
					  .first_ticks = S,
					  .exited = 1,
					  .exit_ticks = header->exit_ticks,
					  .comm = "example"};
	struct tlstall_module module = {0}, none = {0};
	struct tlstall_stack stack = {0};

	for (size_t i = 0; i < 64; i++) {
		struct tlstall_function function = {0};

		if (i < COUNT_OF(functions)) {
			function.kind = kinds[i];
			snprintf(function.name, sizeof(function.name), "%s", functions[i]);
		}
		put(maker, &function, sizeof(function));
	}
	put_table(maker, states, COUNT_OF(states), 256);
	put_table(maker, strings, COUNT_OF(strings), 256);
	if (maker->fleet) {
		set_fleet_module(maker, &module);
		process.pid = header->pid;
		memcpy(process.comm, header->comm, sizeof(process.comm));
	}
	if (maker->hostile)
		memcpy(process.comm, "<b>\xc3\x28\n</b>", 11);
	for (unsigned i = 0; i < 4; i++, process = (struct tlstall_process){0})
		put(maker, &process, sizeof(process));
	for (unsigned i = 0; i < 4; i++)
		put(maker, i ? &none : &module, sizeof(module));
	for (unsigned i = 0; i < 4; i++) {
		stack.commit = i == 1;
		stack.count = i == 1 ? 3 : 0;
		for (unsigned f = 0; f < 3; f++)
			stack.frames[f] = i == 1 ? 0x401000 + f * 0x100 : 0;
		put(maker, &stack, sizeof(stack));
	}
}

/* ---- handshakes --------------------------------------------------------------------- */

static uint64_t duration_of(const struct maker *maker, uint64_t i)
{
	uint64_t r = scatter(i);

	switch (kind_of(i)) {
	case SILENT:
	case UNACKED:
		return 5 * S + r % (20 * S);
	case LATE:
		return S + r % (3 * S);
	case SPINNING:
		return 200 * MS + r % S;
	case WAITING:
		return start_of(maker->count) + 60 * S - start_of(i); /* until the process ends */
	default:
		return 600 * US + r % 900 * US + (r % 50 == 0) * 20 * MS;
	}
}

static void set_peer(struct tlstall_handshake *h, uint64_t i)
{
	static const char *const peers[] = {"127.0.0.1", "10.1.4.7", "192.0.2.80"};

	h->peer.family = AF_INET;
	h->peer.port = h->role == TLSTALL_ROLE_SERVER ? (uint16_t)(32768 + i % 28000) : 8443;
	inet_pton(AF_INET, peers[i / 7 % 3], h->peer.addr);
}

static void set_socket(struct tlstall_socket *s, uint64_t ticks, enum kind kind)
{
	*s = (struct tlstall_socket){
		.ticks = ticks,
		.bytes_acked = kind == UNACKED ? 1 : 518,
		.tcp_state = 1,
		.unacked = kind == UNACKED,
		.retransmits = kind == UNACKED ? 5 : 0,
		.backoff = kind == UNACKED ? 5 : 0,
		.total_retrans = kind == UNACKED ? 5 : 0,
		.outq = kind == UNACKED ? 517 : 0,
		.rtt_us = 350,
		.rto_us = 204000,
		.snd_mss = 1448,
		.inq = kind == LATE ? 2900 : 0,
		.last_data_sent_ms = kind == FINE ? 0 : 1000,
		.last_data_recv_ms = kind == FINE ? 0 : 1000,
		.last_ack_recv_ms = kind == FINE ? 0 : 1000,
	};
}

static void set_states(struct tlstall_handshake *h, uint64_t duration, bool stuck)
{
	h->state_count = stuck ? 2 : 8;
	for (uint64_t s = 0; s < h->state_count; s++) {
		uint64_t at = s < 2 ? 40 * US * (s + 1) : duration - (8 - s) * 30 * US;

		h->states[s] = (s + 1) << 56 | at;
	}
	h->state = h->state_count;
}

static void set_outcome(struct tlstall_handshake *h, enum kind kind)
{
	h->outcome = kind == SILENT || kind == UNACKED ? TLSTALL_OUTCOME_ABANDONED
		     : kind == REFUSED		       ? TLSTALL_OUTCOME_FAILED
		     : kind == WAITING		       ? TLSTALL_OUTCOME_IN_FLIGHT
						       : TLSTALL_OUTCOME_OK;
	h->status = kind == WAITING ? TLSTALL_SLOT_LIVE : TLSTALL_SLOT_DONE;
	h->last_ret = h->outcome == TLSTALL_OUTCOME_OK ? 1 : -1;
	h->last_error = h->outcome == TLSTALL_OUTCOME_OK ? 0 : kind == REFUSED ? 1 : 2;
	if (kind == REFUSED) {
		h->ossl_error = 0x0a000086;
		h->verify_result = 18;
		h->reason = 5;
		h->failed_state = 5;
		h->alert_count = 1;
		h->alerts[0] = (struct tlstall_alert){.at_us = 500, .level = 2, .description = 48};
	}
}

static void set_times(struct tlstall_handshake *h, enum kind kind, uint64_t duration)
{
	uint64_t gap = duration - 300 * US;

	h->in_call = 300 * US;
	h->cpu_ns = 250 * US;
	h->longest_gap = gap;
	h->longest_gap_start = h->start + 100 * US;
	h->longest_gap_want = 2;
	h->gap_waiting = gap;
	if (kind == LATE) {
		h->gap_ready = gap - 5 * MS;
		h->gap_waiting = 5 * MS;
		h->longest_gap_ready_ms = (uint32_t)(h->gap_ready / MS);
	}
	if (kind == SPINNING) {
		h->calls = 40000;
		h->retries = h->want_read = h->longest_run = h->run = 39999;
		h->run_start = h->start;
		h->longest_gap = 50 * US;
		h->longest_run_error = 2;
	}
}

static void make_handshake(const struct maker *maker, uint64_t i, struct tlstall_handshake *h)
{
	enum kind kind = kind_of(i);
	bool server = i % 5 == 0, stuck = kind == SILENT || kind == UNACKED || kind == WAITING;
	uint64_t duration = duration_of(maker, i);

	*h = (struct tlstall_handshake){
		.number = i + 1,
		.ssl = 0x55d0c0000000ull + i % 4096 * 64,
		.start = start_of(i),
		.end = kind == WAITING ? 0 : start_of(i) + duration,
		.leave = start_of(i) + (stuck ? 200 * US : duration),
		.progress = start_of(i) + (stuck ? 200 * US : duration),
		.bytes_in = stuck ? 0 : 3021,
		.bytes_out = 517,
		.first_flight = 517,
		.calls = 3,
		.retries = 2,
		.want_read = 2,
		.tid = 4123,
		.role = server ? TLSTALL_ROLE_SERVER : TLSTALL_ROLE_CLIENT,
		.last_function = server,
		.in_call_function = server,
		.events = EVENTS,
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
		.read = {.type = 0x505, .fd = 5, .name = 1, .bio_class = TLSTALL_BIO_SOCKET},
		.alpn = "h2",
		.stack_first = 1,
		.stack_fail = kind == FINE ? 0 : 1,
	};
	h->write = h->read;
	if (!stuck) {
		h->version = i % 4 ? 0x0304 : 0x0303;
		h->cipher = i % 4 ? 2 : 3;
		h->group = 4;
		h->flags = i % 3 ? 0 : TLSTALL_HS_RESUMED;
	}
	set_peer(h, i);
	set_states(h, duration, stuck);
	set_times(h, kind, duration);
	if (maker->fleet)
		set_fleet_handshake(maker, i, h);
	set_outcome(h, kind);
	set_socket(&h->at_start, h->start, FINE);
	set_socket(&h->at_gap, h->start + duration, kind);
	set_socket(&h->at_end, h->start + duration, kind);
	snprintf(h->sni, sizeof(h->sni), "%s",
		 maker->hostile && i % 3 == 1 ? ATTACK : names[i % 4]);
}

/* ---- events -------------------------------------------------------------------------- */

/*
 * The last event of a handshake: an END, as the shim writes it, or
 * the SSL_get_error after its last call.
 */
static void make_last(struct tlstall_event *event, const struct tlstall_handshake *h)
{
	event->type = h->end ? TLSTALL_EVENT_END : TLSTALL_EVENT_GET_ERROR;
	event->retry = h->retries;
	event->error = h->last_error;
	event->ticks = h->end ? h->start : h->leave;
	event->duration = h->end ? (float)(h->end - h->start) : 100;
	event->ret = h->end ? h->outcome : h->last_ret;
}

static void put_events(struct maker *maker, uint64_t i, uint64_t *position)
{
	struct tlstall_handshake h;

	make_handshake(maker, i, &h);
	for (unsigned e = 0; e < EVENTS; e++) {
		bool last = e == EVENTS - 2;
		uint64_t length = h.leave - h.start;
		struct tlstall_event event = {
			.commit = (uint32_t)(++*position),
			.function = h.last_function,
			.type = TLSTALL_EVENT_CALL,
			.ticks = h.start + (last ? length - 100 * US : e * 60 * US),
			.duration = 1e5f * (e ? 1.0f : 0.5f),
			.ssl = h.ssl,
			.slot = (uint32_t)i,
			.handshake = (uint32_t)h.number,
			.ret = last ? h.last_ret : -1,
			.error = last ? h.last_error : 2,
			.state = (uint8_t)(e < h.state_count ? e + 2 : h.state_count),
			.retry = e,
			.tid = h.tid,
			.flags = h.role == TLSTALL_ROLE_SERVER ? TLSTALL_EV_SERVER
							       : TLSTALL_EV_CLIENT,
			.pending_in = UINT32_MAX,
			.pending_out = UINT32_MAX,
		};

		if (e == EVENTS - 1)
			make_last(&event, &h);
		put(maker, &event, sizeof(event));
	}
}

static void put_ring(struct maker *maker, const struct tlstall_header *header)
{
	const struct tlstall_section *ring = &header->section[TLSTALL_SECTION_OPENING];
	struct tlstall_event empty = {0};
	uint64_t position = 0;

	for (uint64_t i = 0; i < maker->count; i++)
		put_events(maker, i, &position);
	for (; position < ring->count; position++)
		put(maker, &empty, sizeof(empty));
	for (unsigned i = 0; i < header->section[TLSTALL_SECTION_REST].count; i++)
		put(maker, &empty, sizeof(empty));
}

int main(int argc, char **argv)
{
	struct tlstall_header header;
	struct tlstall_handshake h;
	struct maker maker = {.hostile = argc > 3 && !strcmp(argv[3], "hostile")};

	if (argc < 3 || (argc > 3 && !strcmp(argv[3], "fleet") && argc < 6) ||
	    !(maker.count = strtoull(argv[2], NULL, 10)))
		return fputs("usage: make_traces FILE COUNT [hostile | fleet HOST BUILD]\n",
			     stderr),
		       2;
	if (argc > 5)
		prepare_fleet(&maker, argv + 4);
	maker.out = fopen(argv[1], "wb");
	if (!maker.out)
		return perror(argv[1]), 1;
	make_header(&header, maker.count);
	if (maker.fleet)
		set_fleet_header(&maker, &header);
	put(&maker, &header, sizeof(header));
	put_tables(&maker, &header);
	for (uint64_t i = 0; i < maker.count; i++) {
		make_handshake(&maker, i, &h);
		put(&maker, &h, sizeof(h));
	}
	put_ring(&maker, &header);
	if (maker.position != header.file_size || fclose(maker.out))
		return fputs("make_traces: the file is not what its header says\n", stderr), 1;
	return 0;
}
