/* SPDX-License-Identifier: Apache-2.0 */
#include "summary.h"

#include <string.h>

#include "clock.h"
#include "mapping.h"

/* How many are prepared together, as in recorder.c. */
#define AHEAD 128

static void copy_names(struct tlstall_summary *s, const struct tlstall_handshake *h)
{
	s->sni_cut = strnlen(h->sni, sizeof(h->sni)) >= sizeof(s->sni);
	memset(s->sni, 0, sizeof(s->sni));
	memset(s->alpn, 0, sizeof(s->alpn));
	if (!s->sni_cut)
		memcpy(s->sni, h->sni, sizeof(s->sni));
	if (strnlen(h->alpn, sizeof(h->alpn)) < sizeof(s->alpn))
		memcpy(s->alpn, h->alpn, sizeof(s->alpn));
}

static uint16_t least16(uint32_t value)
{
	return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
}

static void copy_counts(struct tlstall_summary *s, const struct tlstall_handshake *h)
{
	s->calls = least16(h->calls);
	s->want_read = least16(h->want_read);
	s->want_write = least16(h->want_write);
	s->want_other = least16(h->want_other);
	s->get_errors = least16(h->get_errors);
	s->bytes_in = (uint32_t)h->bytes_in;
	s->bytes_out = (uint32_t)h->bytes_out;
	clock_store(&s->duration, h->end - h->start);
	clock_store(&s->in_call, h->in_call);
	clock_store(&s->gaps, h->gap_waiting + h->gap_unknown);
	clock_store(&s->longest_gap, h->longest_gap);
}

static void copy_facts(struct tlstall_summary *s, const struct tlstall_handshake *h)
{
	s->number = (uint32_t)h->number;
	s->ssl = h->ssl;
	s->start = h->start;
	s->tid = h->tid;
	s->flags = h->flags;
	s->bio_type = h->read.type;
	s->fd = h->read.fd;
	s->process = (uint16_t)h->process;
	s->cipher = h->cipher;
	s->group = h->group;
	s->bio_name = h->read.name;
	s->bio_filter = h->read.filter;
	s->version = h->version;
	s->role = h->role;
	s->bio_class = h->read.bio_class;
	s->write_class = h->write.bio_class;
	s->last_function = h->last_function;
	s->state = h->state;
	s->libssl = h->libssl;
	s->misuse = (uint8_t)h->misuse;
	s->verify_result = (uint16_t)h->verify_result;
	memcpy(s->packed, h->packed, sizeof(s->packed));
}

void summary_write(const struct tlstall_handshake *slot)
{
	uint64_t position = __atomic_fetch_add(&mapping.header->history_head, 1, __ATOMIC_RELAXED);
	uint64_t at = position & mapping.history_mask;
	struct tlstall_summary *summary = &mapping.history[at];

	if (at && at % AHEAD == 0)
		mapping_ahead(summary, AHEAD * sizeof(*summary));
	__atomic_store_n(&summary->commit, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	copy_facts(summary, slot);
	copy_counts(summary, slot);
	copy_names(summary, slot);
	__atomic_store_n(&summary->commit, (uint32_t)(position + 1), __ATOMIC_RELEASE);
}
