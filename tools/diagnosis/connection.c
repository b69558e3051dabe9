/* SPDX-License-Identifier: Apache-2.0 */
/* What became of the connection: whether it was made, and who ended it. */
#include <errno.h>
#include <netinet/tcp.h>

#include "diagnosis/reasons.h"
#include "judge.h"

/* The kernel takes bytes only for an established connection. */
bool is_unconnected(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *n = socket_now(f);
	bool early = start->ticks && start->tcp_state == TCP_SYN_SENT;

	if (!n || !n->tcp_state)
		return early && !f->bytes_out && !f->bytes_in;
	return n->tcp_state == TCP_SYN_SENT ||
	       (early && n->tcp_state == TCP_CLOSE && !n->bytes_acked);
}

bool is_unreachable(const struct facts *f)
{
	return f->failed && f->last_error == TLSTALL_ERROR_SYSCALL &&
	       (f->last_errno == EHOSTUNREACH || f->last_errno == ENETUNREACH ||
		f->last_errno == EHOSTDOWN || f->last_errno == ENETDOWN);
}

const char unreachable_advice[] =
	"Check the way to the peer: ip route get ADDRESS, mtr ADDRESS; a router or firewall "
	"answers that it cannot be reached.";

/* SSL_ERROR_ZERO_RETURN does not prove it, if SSL_OP_IGNORE_UNEXPECTED_EOF is set. */
bool has_close_notify(const struct facts *f)
{
	for (unsigned i = 0; i < f->alert_count && i < sizeof(f->alerts) / sizeof(f->alerts[0]);
	     i++) {
		if (f->alerts[i].by_peer && f->alerts[i].description == 0)
			return true;
	}
	return false;
}

bool is_hang_up(const struct facts *f)
{
	const char *reason = f->reason;

	if (!f->failed)
		return false;
	if (f->last_error == TLSTALL_ERROR_ZERO_RETURN)
		return true;
	if (f->last_error == TLSTALL_ERROR_SSL)
		return meaning_of_reason(reason).cause == CAUSE_PEER_CLOSED;
	return f->last_error == TLSTALL_ERROR_SYSCALL &&
	       (!f->last_errno || f->last_errno == ECONNRESET || f->last_errno == EPIPE);
}

bool is_aborted_here(const struct facts *f)
{
	return f->failed && f->last_error == TLSTALL_ERROR_SYSCALL && f->last_errno == ECONNABORTED;
}

/* We had sent our end of the stream, and the peer had not yet. */
static bool is_ending(const struct tlstall_socket *n)
{
	return n->ticks && (n->tcp_state == TCP_FIN_WAIT1 || n->tcp_state == TCP_FIN_WAIT2 ||
			    n->tcp_state == TCP_CLOSING);
}

/*
 * Both ends of the stream were sent: the peer has acknowledged one more byte than OpenSSL wrote.
 * Until the connection is established, the SYN counts as one, too.
 */
bool sent_both_ends(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *end = &f->at_end;

	return start->ticks && start->tcp_state == TCP_ESTABLISHED && !start->unacked &&
	       !(f->flags & TLSTALL_HS_MIDDLE) && end->ticks && end->tcp_state == TCP_CLOSE &&
	       end->bytes_acked == start->bytes_acked + f->bytes_out + 1;
}

/*
 * OpenSSL's own socket BIO found the end of the stream, but the peer has not sent it: after
 * shutdown(SHUT_RD), read() returns 0.
 */
static bool reads_no_more(const struct facts *f)
{
	return f->read.type == BIO_TYPE_SOCKET && !f->last_errno && !has_close_notify(f) &&
	       f->at_end.ticks && f->at_end.tcp_state == TCP_ESTABLISHED;
}

bool is_shut_here(const struct facts *f)
{
	return is_hang_up(f) && (is_ending(&f->at_end) || is_ending(&f->at_gap) ||
				 sent_both_ends(f) || reads_no_more(f));
}

bool is_cut_off(const struct facts *f)
{
	return is_hang_up(f) && !is_shut_here(f) && !f->bytes_in && !f->alert_count;
}
