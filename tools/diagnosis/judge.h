/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the diagnosis library: what the judges of all causes share. */
#ifndef TOOLS_DIAGNOSIS_JUDGE_H
#define TOOLS_DIAGNOSIS_JUDGE_H

#include "diagnosis/diagnosis.h"
#include "tlstall/vocabulary.h"
#include "words/words.h"

#define MS 1000000ull
#define S (1000 * MS)

/*
 * No progress for this long is a stall, unless the round trip is as long. Handshakes that ended
 * well are judged less strictly: a busy machine alone makes a program late by some hundred
 * milliseconds.
 */
#define STALL_NS (300 * MS)
#define NOTABLE_NS (500 * MS)

/* OpenSSL's own socket BIO. libpq and others use its name with a type of their own. */
#define BIO_TYPE_SOCKET 0x505

/* A ClientHello in its record has at least this many bytes. */
#define SMALLEST_HELLO 60

static inline bool is_io_want(uint8_t error)
{
	return error == TLSTALL_ERROR_WANT_READ || error == TLSTALL_ERROR_WANT_WRITE ||
	       error == TLSTALL_ERROR_WANT_CONNECT || error == TLSTALL_ERROR_WANT_ACCEPT;
}

/* Something of the program's own is not done: a lookup, a callback, a job. */
static inline bool is_async_want(uint8_t error)
{
	return error == TLSTALL_ERROR_WANT_X509_LOOKUP || error >= TLSTALL_ERROR_WANT_ASYNC;
}

/* catalog.c */
struct cause_row {
	const char *name;
	enum fault fault;
	const char *title, *advice;
};
const struct cause_row *cause_row(enum cause cause);

/* Whether the stall is a wait for bytes from the peer, as far as can be known. */
bool awaits_peer(const struct facts *f);
/* No progress for longer than this is a stall. */
uint64_t patience(const struct facts *f);
/* A client that has not been answered sent application data with its ClientHello. */
bool sent_early_data(const struct facts *f);
/* The bytes of both directions are known: inside the call of a BIO of the program's own, they are
 * not. */
bool counts_bytes(const struct facts *f);
/* Whether any byte of an answer has come since the first op. */
bool has_received(const struct facts *f);
/* All that the connection has brought: with a part of the ClientHello, or text of before TLS. */
uint64_t came_before(const struct facts *f);
/* What came from the peer, without alerts that are no part of an answer. */
uint64_t answered_bytes(const struct facts *f);
/* What the connection has taken of ours since the first op; UINT64_MAX: not known. */
uint64_t bytes_taken(const struct facts *f);
/* connect() has not finished, or has failed since the handshake began. */
bool is_unconnected(const struct facts *f);
/* The peer has acknowledged everything that we wrote, as the kernel counts it. */
bool is_acknowledged(const struct facts *f);
/* The descriptor is another connection than the one that was written to. */
bool is_swapped(const struct facts *f);
/* Bytes came that are neither in the socket nor were read by OpenSSL. */
bool is_read_elsewhere(const struct facts *f);
/* Bytes have been unread for long, though the thread is in a read of that very socket. */
bool is_left_unread(const struct facts *f);
/* How long a flight takes at most if one of its packets was lost and retransmitted. */
uint64_t one_loss_ns(const struct facts *f);
/*
 * How long our own retransmissions can have kept it waiting, if all were of one packet: each
 * doubles the timeout. With ample margin; UINT64_MAX: not known.
 */
uint64_t losses_ns(const struct facts *f);
/* How long a handshake that has ended waited for one flight of its peer. */
uint64_t awaited_peer_ns(const struct facts *f);
/*
 * The number of pieces in which the peer's bytes came, as far as known: reads that returned data.
 */
uint32_t pieces(const struct facts *f);
/* The op waits on a descriptor that may belong to a BIO of the program's own. */
bool may_be_own_socket(const struct facts *f);
/* The longest time between two states when no new flight was due. */
uint64_t held_ns(const struct facts *f);
/* Whether the peer's last byte had arrived before that; whether it can have been a callback. */
bool data_was_there(const struct facts *f);
bool can_be_callback(const struct facts *f);
/* Memory BIOs: output was never taken out; both directions are empty. */
bool is_not_pumped(const struct facts *f);
bool is_seen_not_pumped(const struct facts *f);
/* The first call waits for an answer to what lies in a memory BIO: nobody can take it out. */
bool is_blocked_before_pumping(const struct facts *f);
/* All that was written is still in the BIO, whatever the reason. */
bool lies_in_bio(const struct facts *f);
bool is_starved(const struct facts *f);
/*
 * Memory BIOs are empty, and so are all sockets that can be theirs: nothing came that could be fed.
 */
bool is_fed(const struct facts *f);
/*
 * The only connection that can be theirs may have carried text of before TLS, too; but its last
 * bytes were ours, and nothing has come since.
 */
bool is_only_quiet(const struct facts *f);
/* Whichever connection it is, nothing is unread there, and all that we sent was acknowledged. */
bool are_all_idle(const struct facts *f);
/* Whichever connection it is, bytes are there that the program has not read for long. */
bool are_all_unread(const struct facts *f);
/* The thread that made the last call does not wait for a socket. */
bool is_elsewhere(const struct facts *f);
bool has_spun(const struct facts *f);
/* It failed because a router, a firewall, or this host's routes say that there is no way. */
bool is_unreachable(const struct facts *f);
extern const char unreachable_advice[];
/* The peer's alert says that it ends the connection. */
bool has_close_notify(const struct facts *f);
/* The peer ended the connection. */
bool is_hang_up(const struct facts *f);
/* ... or rather another part of the program did, not the peer. */
bool is_shut_here(const struct facts *f);
bool sent_both_ends(const struct facts *f); /* ... and the peer closed it, too */
/* ... without a word, before anything of an answer came: the peer, or a device on the path. */
bool is_cut_off(const struct facts *f);
/* ... or this host's kernel: it alone ends connections with ECONNABORTED (`ss -K`). */
bool is_aborted_here(const struct facts *f);
/* The failure is none: the BIO meant "call again". */
bool is_want_mismatch(const struct facts *f);
/* A client asked for no server by name, as far as the trace may tell. */
bool is_nameless(const struct facts *f);
/* Segments that were retransmitted since the first op. */
uint32_t retransmitted(const struct facts *f);

/* split.c */
void split_time(struct facts *f);
const struct tlstall_socket *socket_now(const struct facts *f);
uint64_t open_gap_ready(const struct facts *f);

/* What the program has taken out of its socket since the first op; 0: not known. */
uint64_t bytes_consumed(const struct facts *f);

/*
 * Sorts them in the order in which they are shown, causes first, and drops those that another one
 * makes redundant. Returns how many are left.
 */
unsigned rank(struct verdict **found, unsigned count);

/* ---- writing a verdict ------------------------------------------------------ */

/* Text by value, to be used at once: span(ns).s */
struct text {
	char s[WORD_SIZE];
};
struct text span(uint64_t ns);	  /* "412 us", "1.25 s" */
struct text size(uint64_t bytes); /* "517 B" */
struct text counted(uint64_t count, const char *noun); /* "1 segment", "2 segments" */

__attribute__((format(printf, 2, 3))) void say(struct verdict *v, const char *format, ...);
void doubt(struct verdict *v, enum cause cause);
void say_calls(const struct facts *f,
	       struct verdict *v); /* what it waits in; calls and state stand above the evidence */
void say_signature(const struct facts *f,
		   struct verdict *v);			   /* a server's: how long, with what key */
void say_socket(const struct facts *f, struct verdict *v); /* what the kernel says of it */
void say_only(const struct facts *f, struct verdict *v);   /* and of what is taken for it */
/* Memory BIOs: how sure it is that nothing came, and what else it may be. */
void doubt_feeding(const struct facts *f, struct verdict *v);
void say_neighbors(const struct facts *f, struct verdict *v);
void say_alerts(const struct facts *f, struct verdict *v);
void say_split(const struct facts *f, struct verdict *v); /* where the time went */
/* "ClientHello, 517 B," or "the last flight" */
struct text sent(const struct facts *f);

/* Sets what all refusals have in common: evidence, cost, confidence and advice. */
struct refusal;
void tell_refusal(const struct facts *f, const struct refusal *r, struct verdict *v);
/* A client that was cut off before it read anything. */
void say_unanswered(const struct facts *f, struct verdict *v);
bool is_datagram(const struct facts *f);
void say_no_answer_in_datagrams(const struct facts *f, struct verdict *v);

/*
 * One judge for each row of the catalog: true if that cause was involved. The verdict is preset
 * with the row's fault and advice and CONFIDENCE_MEDIUM.
 */
#define CAUSE(name, fault, title, advice)                                                          \
	bool judge_##name(const struct facts *f, struct verdict *v);
#include "diagnosis/causes.def"
#undef CAUSE

#endif
