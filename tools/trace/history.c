/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries of mode `watch`, presented as handshakes. */
#include <stdlib.h>
#include <string.h>

#include "trace/internal.h"

#define HISTORY TLSTALL_SECTION_HISTORY
#define ATTEMPTS 4

/* Extends a number that wraps around: numbers within one trace are close together. */
static uint64_t whole_number(const struct trace *trace, uint32_t low)
{
	uint64_t newest = trace->header.handshakes, number = (newest & ~0xffffffffull) | low;

	return number > newest + 0x80000000u && number > 0xffffffffu ? number - 0x100000000u
								     : number;
}

static uint64_t ticks(float value)
{
	return (uint64_t)ticks_tame(value);
}

static struct tlstall_transport transport(const struct tlstall_summary *s, uint8_t bio_class)
{
	return (struct tlstall_transport){
		.type = s->bio_type,
		.fd = s->fd,
		.name = s->bio_name,
		.filter = s->bio_filter,
		.bio_class = bio_class,
		.blocking = 2,
	};
}

static void copy_times(const struct tlstall_summary *s, struct tlstall_handshake *h)
{
	h->start = s->start;
	h->end = h->leave = h->progress = s->start + ticks(s->duration);
	h->in_call = ticks(s->in_call);
	h->gap_waiting = ticks(s->gaps);
	h->longest_gap = ticks(s->longest_gap);
}

static void copy_counts(const struct tlstall_summary *s, struct tlstall_handshake *h)
{
	h->calls = s->calls;
	h->retries = s->calls ? s->calls - 1u : 0;
	h->want_read = s->want_read;
	h->want_write = s->want_write;
	h->want_other = s->want_other;
	h->get_errors = s->get_errors;
	h->bytes_in = s->bytes_in;
	h->bytes_out = s->bytes_out;
}

static void expand(const struct trace *trace, const struct tlstall_summary *s,
		   struct tlstall_handshake *h)
{
	*h = (struct tlstall_handshake){
		.number = whole_number(trace, s->number),
		.status = TLSTALL_SLOT_DONE,
		.flags = s->flags | TLSTALL_HS_COMPACT | TLSTALL_HS_CPU_UNKNOWN,
		.ssl = s->ssl,
		.outcome = TLSTALL_OUTCOME_OK,
		.last_ret = 1,
		.tid = s->tid,
		.process = s->process,
		.misuse = s->misuse,
		.version = s->version,
		.verify_result = s->verify_result,
		.cipher = s->cipher,
		.group = s->group,
		.role = s->role,
		.last_function = s->last_function,
		.state = s->state,
		.libssl = s->libssl,
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
		.read = transport(s, s->bio_class),
		.write = transport(s, s->write_class),
	};
	copy_times(s, h);
	copy_counts(s, h);
	memcpy(h->packed, s->packed, sizeof(h->packed));
	memcpy(h->alpn, s->alpn, sizeof(s->alpn));
	memcpy(h->sni, s->sni, sizeof(s->sni));
	handshake_tame(h);
}

int history_handshake(struct trace *trace, uint32_t index, struct tlstall_handshake *out)
{
	uint32_t mask = trace->header.section[HISTORY].count - 1;
	struct tlstall_summary first, second;
	int error = 0;

	if (index >= trace->present[HISTORY])
		return 1;
	for (int i = 0; i < ATTEMPTS && !error; i++) {
		error = trace_read_entry(trace, HISTORY, index, &first, sizeof(first));
		if (error || !first.commit || !first.number || ((first.commit - 1) & mask) != index)
			return error < 0 ? error : 1;
		error = trace_read_entry(trace, HISTORY, index, &second, sizeof(second));
		if (!error && !memcmp(&first, &second, sizeof(first))) {
			expand(trace, &first, out);
			return 0;
		}
	}
	return error < 0 ? error : 1;
}

/* ---- read ahead: most are asked for in the order in which they were written --------- */

static void read_ahead(struct trace *trace, uint32_t index)
{
	const struct tlstall_section *s = &trace->header.section[HISTORY];
	uint32_t left = trace->present[HISTORY] - index;
	uint32_t count = left < SUMMARIES_AHEAD ? left : SUMMARIES_AHEAD;
	struct summaries *ahead = trace->summaries;
	uint64_t at = s->offset + (uint64_t)index * s->entry_size;

	ahead->start = index;
	ahead->count = 0;
	if (trace_read(trace, ahead->first, count, sizeof(ahead->first[0]), at))
		return;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!trace_read(trace, ahead->second, count, sizeof(ahead->second[0]), at))
		ahead->count = count;
}

/* NULL: what was read has another one there, or half of one. */
static const struct tlstall_summary *in_hand(const struct trace *trace, uint32_t index,
					     uint32_t number)
{
	const struct summaries *ahead = trace->summaries;
	uint32_t mask = trace->header.section[HISTORY].count - 1, i = index - ahead->start;

	if (index < ahead->start || i >= ahead->count || ahead->first[i].number != number ||
	    !ahead->first[i].commit || ((ahead->first[i].commit - 1) & mask) != index ||
	    memcmp(&ahead->first[i], &ahead->second[i], sizeof(ahead->first[i])))
		return NULL;
	return &ahead->first[i];
}

int history_handshake_of(struct trace *trace, uint32_t index, uint32_t number,
			 struct tlstall_handshake *out)
{
	bool fits = trace->header.section[HISTORY].entry_size == sizeof(struct tlstall_summary);
	const struct tlstall_summary *summary;

	if (fits && !trace->summaries)
		trace->summaries = calloc(1, sizeof(*trace->summaries));
	if (!fits || !trace->summaries || index >= trace->present[HISTORY])
		return history_handshake(trace, index, out);
	summary = in_hand(trace, index, number);
	if (!summary) {
		read_ahead(trace, index);
		summary = in_hand(trace, index, number);
	}
	if (!summary)
		return history_handshake(trace, index, out);
	expand(trace, summary, out);
	return 0;
}

static uint8_t role_flag(uint8_t role)
{
	if (role == TLSTALL_ROLE_SERVER)
		return TLSTALL_EV_SERVER;
	return role == TLSTALL_ROLE_CLIENT ? TLSTALL_EV_CLIENT : 0;
}

bool history_event(const struct trace *trace, const struct tlstall_summary *s, uint64_t position,
		   struct tlstall_event *out)
{
	uint32_t index = (uint32_t)(position & (trace->header.section[HISTORY].count - 1));

	*out = (struct tlstall_event){
		.commit = (uint32_t)position + 1,
		.type = TLSTALL_EVENT_END,
		.function = s->last_function,
		.state = s->state,
		.ticks = s->start,
		.ssl = s->ssl,
		.slot = trace->present[TLSTALL_SECTION_HANDSHAKES] + index,
		.handshake = s->number,
		.duration = ticks_tame(s->duration),
		.ret = TLSTALL_OUTCOME_OK,
		.retry = s->calls ? s->calls - 1u : 0,
		.tid = s->tid,
		.process = s->process,
		.flags = (uint8_t)(role_flag(s->role) | TLSTALL_EV_FINISHED),
	};
	return s->number;
}
