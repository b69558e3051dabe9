/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps values of handshakes and events within bounds, whoever wrote them. */
#include "trace/internal.h"

#include <string.h>

static void tame_transport(struct tlstall_transport *transport)
{
	if (transport->bio_class > TLSTALL_BIO_OTHER)
		transport->bio_class = TLSTALL_BIO_OTHER;
	if (transport->blocking > 2)
		transport->blocking = 2;
}

/* A name that fills its field was cut; it must not look like another one. */
static void end_name(char *name, size_t size)
{
	static const char cut[] = "...";

	if (name[size - 1])
		memcpy(name + size - sizeof(cut), cut, sizeof(cut));
}

void handshake_tame(struct tlstall_handshake *h)
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
	end_name(h->sni, sizeof(h->sni));
	end_name(h->alpn, sizeof(h->alpn));
}

/* Written so that NaN is refused, too. The bound leaves room for a sum of two. */
float ticks_tame(float ticks)
{
	return ticks > 0 && ticks < 0x1p62f ? ticks : 0;
}
