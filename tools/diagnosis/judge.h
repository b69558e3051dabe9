/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the diagnosis library: what the judges of all causes share. */
#ifndef TOOLS_DIAGNOSIS_JUDGE_H
#define TOOLS_DIAGNOSIS_JUDGE_H

#include "diagnosis/diagnosis.h"

#define MS 1000000ull
#define S (1000 * MS)

/*
 * Nothing moved for so long: a stall, if the round trip is not itself as long.
 * What has ended well is looked at more leniently: a busy machine alone makes
 * a program late by some hundred milliseconds.
 */
#define STALL_NS (300 * MS)
#define NOTABLE_NS (500 * MS)

/* OpenSSL's public SSL_ERROR_* numbers: tools do not include its headers. */
enum {
	ERROR_NONE,
	ERROR_SSL,
	ERROR_WANT_READ,
	ERROR_WANT_WRITE,
	ERROR_WANT_X509_LOOKUP,
	ERROR_SYSCALL,
	ERROR_ZERO_RETURN,
	ERROR_WANT_CONNECT,
	ERROR_WANT_ACCEPT,
	ERROR_WANT_ASYNC,
};

static inline bool is_io_want(uint8_t error)
{
	return error == ERROR_WANT_READ || error == ERROR_WANT_WRITE ||
	       error == ERROR_WANT_CONNECT || error == ERROR_WANT_ACCEPT;
}

/* The program's own business is not done: a lookup, a callback, a job. */
static inline bool is_async_want(uint8_t error)
{
	return error == ERROR_WANT_X509_LOOKUP || error >= ERROR_WANT_ASYNC;
}

/* The facts of one handshake, and what all judges conclude from them alike. */
struct sight {
	const struct facts *f;
	const struct tlstall_handshake *h;
	const struct tlstall_socket
		*socket; /* while it is stuck, or as it failed; NULL: not known */
	struct time_split time;
	uint64_t rtt_ns;     /* 0: not known */
	bool ok, failed;     /* neither: in flight or abandoned */
	bool stuck;	     /* unfinished, and nothing moves */
	bool in_op;	     /* unfinished, and inside an op */
	bool slow;	     /* took, or takes, long enough to be worth a word */
	bool built_in;	     /* a BIO whose descriptor is known */
	bool memory;	     /* memory BIO or BIO pair: the program moves the bytes */
	bool may_block;	     /* an op may wait for the socket inside */
	bool unacked;	     /* what we sent is not acknowledged although it is overdue */
	bool mid_flight;     /* a part of the peer's flight has come */
	uint32_t segments;   /* of the peer since the first op, 0: not known */
	bool full;	     /* they are about as large as segments can be */
	uint64_t segment_ns; /* from one to the next, while a flight came */
	bool comes_slowly;   /* a narrow path: full segments come one by one */
	bool leaves_slowly;  /* the same, of what we sent */
	unsigned found;	     /* verdicts so far */
};

void sight_make(const struct facts *facts, struct sight *out);

/* Whether the stall is a wait for bytes of the peer, as far as anyone can know. */
bool awaits_peer(const struct sight *s);
/* What a flight takes at most when one packet of it was lost and sent again. */
uint64_t one_loss_ns(const struct sight *s);
/* How long a handshake that has ended waited for one flight of its peer. */
uint64_t awaited_peer_ns(const struct sight *s);
/* The longest stay between two states although no new flight was due. */
uint64_t held_ns(const struct sight *s);
/* Whether the peer's last byte lay there before that; whether a callback can have been it. */
bool data_was_there(const struct sight *s);
bool can_be_callback(const struct sight *s);
/* Memory BIOs: what was written was never taken; nothing lies there for either side. */
bool is_not_pumped(const struct sight *s);
bool is_starved(const struct sight *s);
/* The thread that made the last call does not wait for a socket. */
bool is_elsewhere(const struct sight *s);
bool has_spun(const struct sight *s);
/* The failure is none: the BIO meant "call again". */
bool is_want_mismatch(const struct sight *s);
/* Data, or room, was there in the gap that is open or was the longest. */
uint64_t ready_ns(const struct sight *s);
/* Segments that were sent again since the first op. */
uint32_t retransmitted(const struct sight *s);

/* split.c */
const struct tlstall_socket *socket_now(const struct facts *facts);
uint64_t open_gap_ready(const struct facts *facts);

/* What the program has taken out of its socket since the first op; 0: not known. */
uint64_t bytes_consumed(const struct facts *facts);

/* ---- writing a verdict ------------------------------------------------------ */

struct text {
	char s[48];
};
struct text span(uint64_t ns);		     /* "412 us", "1.25 s" */
struct text size(uint64_t bytes);	     /* "517 B" */
struct text error_word(uint8_t error);	     /* "WANT_READ" */
const char *alert_word(uint8_t description); /* "unknown CA" */

__attribute__((format(printf, 2, 3))) void say(struct verdict *v, const char *format, ...);
void doubt(struct verdict *v, enum cause cause);
void say_calls(const struct sight *s, struct verdict *v);  /* what the program did last */
void say_socket(const struct sight *s, struct verdict *v); /* what the kernel says of it */
void say_neighbours(const struct sight *s, struct verdict *v);
void say_alerts(const struct sight *s, struct verdict *v);
void say_split(const struct sight *s, struct verdict *v); /* where the time went */
/* "ClientHello, 517 B," or "the last flight" */
struct text sent(const struct sight *s);

/*
 * One judge for each row of the catalogue: true if that cause took part. The
 * verdict comes filled with the row's fault and advice and CONFIDENCE_MEDIUM.
 */
#define CAUSE(name, fault, title, advice)                                                          \
	bool judge_##name(const struct sight *s, struct verdict *v);
#include "diagnosis/causes.def"
#undef CAUSE

#endif
