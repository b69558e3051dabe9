/* SPDX-License-Identifier: Apache-2.0 */
/* Whose bytes they are: what is an answer, who reads it, and whether it is still the same
 * connection. */
#include <netinet/tcp.h>
#include <string.h>

#include "judge.h"

uint64_t patience(const struct facts *f)
{
	return 4 * f->rtt_ns > STALL_NS ? 4 * f->rtt_ns : STALL_NS;
}

bool is_datagram(const struct facts *f)
{
	return f->read.bio_class == TLSTALL_BIO_DATAGRAM || f->version >> 8 == 0xfe;
}

/* An alert before encryption: the record's head, level and description. */
#define ALERT_RECORD 7

/* From outside, alerts are not seen: nothing else of that length comes alone. */
static uint64_t alert_bytes(const struct facts *f)
{
	uint64_t bytes = f->looked && f->bytes_in == ALERT_RECORD ? ALERT_RECORD : 0;

	for (unsigned i = 0; i < f->alert_count && i < sizeof(f->alerts) / sizeof(f->alerts[0]);
	     i++)
		bytes += f->alerts[i].by_peer ? ALERT_RECORD : 0;
	return bytes;
}

uint64_t answered_bytes(const struct facts *f)
{
	uint64_t alerts = alert_bytes(f);

	return f->bytes_in > alerts ? f->bytes_in - alerts : 0;
}

bool sent_early_data(const struct facts *f)
{
	const char *state = f->failed ? f->failed_state : f->state;

	return f->role == TLSTALL_ROLE_CLIENT && state && strstr(state, "early data");
}

bool counts_bytes(const struct facts *f)
{
	return f->looked || !f->in_op || (f->at_start.ticks && f->live.ticks);
}

/*
 * The BIO is the program's own, its descriptor was found only now, and the call has not returned:
 * what a server's client sent before any answer, or a client's peer after our last bytes.
 */
static bool has_brought_something(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f);

	if (!n || !n->tcp_state || n->inq == UINT32_MAX || n->bytes_received <= n->inq)
		return false;
	if (f->role == TLSTALL_ROLE_SERVER)
		return !n->bytes_acked;
	return n->last_data_recv_ms < n->last_data_sent_ms;
}

bool has_received(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start;

	if (answered_bytes(f))
		return true;
	if (!counts_bytes(f))
		return has_brought_something(f);
	return socket_now(f) && start->ticks &&
	       socket_now(f)->bytes_received > start->bytes_received + alert_bytes(f);
}

uint64_t bytes_taken(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *now = &f->live;
	uint64_t before, total;

	if (!now->ticks || !start->ticks || !now->tcp_state || !start->tcp_state ||
	    now->outq == UINT32_MAX || f->flags & TLSTALL_HS_MIDDLE)
		return UINT64_MAX;
	before = start->bytes_acked + (start->outq == UINT32_MAX ? 0 : start->outq);
	total = now->bytes_acked + now->outq;
	return total > before + 1 ? total - before : 0;
}

bool is_acknowledged(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f), *start = &f->at_start;
	uint64_t before = start->ticks && start->tcp_state ? start->bytes_acked : 0;

	if (!n || !n->tcp_state || n->unacked || f->notsent || (n->outq && n->outq != UINT32_MAX))
		return false;
	return n->bytes_acked >= before && n->bytes_acked - before >= f->bytes_out;
}

static bool is_reading(const struct facts *f)
{
	return f->wait == TLSTALL_WAIT_ON_SOCKET && f->wait_syscall &&
	       (strstr(f->wait_syscall, "read") || strstr(f->wait_syscall, "recv"));
}

/* Its ClientHello has been written, and the first call reads the answer. */
static bool awaits_first_answer(const struct facts *f)
{
	return f->role == TLSTALL_ROLE_CLIENT && f->in_op && !f->calls && is_reading(f) &&
	       f->state && strstr(f->state, "write client hello");
}

/*
 * The descriptor was closed, and perhaps its number reused, or OpenSSL writes to another one. (If
 * the shim recorded both ends of the connection, no other one is looked at.) bytes_acked may count
 * the SYN.
 */
bool is_swapped(const struct facts *f)
{
	const struct tlstall_socket *n = &f->live;

	if (f->stuck && f->descriptor)
		return true;
	if (!f->stuck || f->read.bio_class != TLSTALL_BIO_SOCKET ||
	    !tlstall_has_descriptor(&f->write) || !n->ticks || !n->tcp_state ||
	    n->outq == UINT32_MAX)
		return false;
	return n->bytes_acked + n->outq < f->bytes_out ||
	       (awaits_first_answer(f) && !bytes_taken(f));
}

/*
 * A client found from outside: something came after it had sent its ClientHello. With the shim:
 * what came since the first op, of which the end of the stream counts as one byte.
 */
bool is_read_elsewhere(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *n = socket_now(f);

	if (!(f->stuck || f->failed) || !f->built_in || f->swapped || !n || !n->tcp_state ||
	    n->inq == UINT32_MAX)
		return false;
	if (f->looked)
		return f->role == TLSTALL_ROLE_CLIENT && f->bytes_out && !f->bytes_in && !n->inq &&
		       n->bytes_received && n->last_data_recv_ms < n->last_data_sent_ms;
	return !f->in_op && start->ticks && start->tcp_state &&
	       n->bytes_received > start->bytes_received + f->bytes_in + n->inq + 1;
}

bool is_left_unread(const struct facts *f)
{
	const struct tlstall_socket *n = &f->live;

	return f->stuck && f->in_op && is_reading(f) && n->ticks && n->tcp_state && n->inq &&
	       n->inq != UINT32_MAX && n->last_data_recv_ms * MS >= patience(f);
}

bool are_all_unread(const struct facts *f)
{
	return f->stuck && !f->in_op && !f->guessed && !f->live.ticks && f->unread &&
	       f->unread == f->fitting && f->last_error == TLSTALL_ERROR_WANT_READ &&
	       (f->pending_in == 0 || !f->memory);
}

uint64_t came_before(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f);

	return n && n->tcp_state ? n->bytes_received : 0;
}
