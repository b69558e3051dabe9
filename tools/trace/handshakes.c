/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes: copies of slots that are being written meanwhile. */
#include <string.h>

#include "trace/internal.h"

#define ATTEMPTS 4

unsigned trace_slot_count(const struct trace *trace)
{
	return trace->present[TLSTALL_SECTION_HANDSHAKES];
}

static void tame_transport(struct tlstall_transport *transport)
{
	if (transport->bio_class > TLSTALL_BIO_OTHER)
		transport->bio_class = TLSTALL_BIO_OTHER;
	if (transport->blocking > 2)
		transport->blocking = 2;
}

/* Whoever uses it may index by its counts and small numbers, and print its strings. */
static void tame(struct tlstall_handshake *h)
{
	if (h->state_count > TLSTALL_STATES)
		h->state_count = TLSTALL_STATES;
	if (h->alert_count > sizeof(h->alerts) / sizeof(h->alerts[0]))
		h->alert_count = sizeof(h->alerts) / sizeof(h->alerts[0]);
	if (h->outcome > TLSTALL_OUTCOME_ABANDONED)
		h->outcome = TLSTALL_OUTCOME_IN_FLIGHT;
	if (h->role > TLSTALL_ROLE_SERVER)
		h->role = TLSTALL_ROLE_UNKNOWN;
	if (h->libssl >=
	    sizeof(((struct tlstall_header *)0)->libssl) / sizeof(struct tlstall_libssl))
		h->libssl = 0;
	tame_transport(&h->read);
	tame_transport(&h->write);
	TERMINATE(h->sni);
	TERMINATE(h->alpn);
}

static bool readable(const struct tlstall_handshake *h)
{
	return h->number && h->status != TLSTALL_SLOT_FREE && h->status <= TLSTALL_SLOT_DONE;
}

/*
 * Its owner stores while we copy. Two copies that are equal are one state of
 * it; a busy owner may never grant that, and then one that belongs to a single
 * handshake must do.
 */
int trace_handshake(struct trace *trace, unsigned slot, struct tlstall_handshake *out)
{
	const enum tlstall_section_id id = TLSTALL_SECTION_HANDSHAKES;
	struct tlstall_handshake again;
	bool same = false;
	int result = trace_read_entry(trace, id, slot, out, sizeof(*out));

	for (int i = 0; i < ATTEMPTS && !result; i++) {
		/* ended, and nobody writes: the status alone has to be looked at again */
		size_t size = out->status == TLSTALL_SLOT_DONE
				      ? offsetof(struct tlstall_handshake, flags)
				      : sizeof(again);

		if (!out->number)
			return 1;
		result = trace_read_entry(trace, id, slot, &again, size);
		same = !result && readable(out) && readable(&again) && again.number == out->number;
		if (same && !memcmp(&again, out, size))
			break;
		if (!result && i + 1 < ATTEMPTS)
			result = trace_read_entry(trace, id, slot, out, sizeof(*out));
	}
	if (result || !same)
		return result ? result : 1;
	tame(out);
	return 0;
}

int trace_handshake_of(struct trace *trace, const struct tlstall_event *event,
		       struct tlstall_handshake *out)
{
	int result;

	if (!event->handshake || event->slot == TLSTALL_NO_SLOT)
		return 1;
	result = trace_handshake(trace, event->slot, out);
	if (result)
		return result;
	return (uint32_t)out->number != event->handshake;
}
