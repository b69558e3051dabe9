/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of trace.h: what a trace tells of one handshake.
 * The rules for changing it are those of trace.h.
 */
#ifndef TLSTALL_HANDSHAKE_H
#define TLSTALL_HANDSHAKE_H

#include <stdint.h>

#include "tlstall/assert.h"
#include "tlstall/summary.h"

enum tlstall_slot_status {
	TLSTALL_SLOT_FREE = 0,
	TLSTALL_SLOT_LIVE = 1,	  /* handshake unfinished */
	TLSTALL_SLOT_LINGER = 2,  /* ended; its SSL object still exists and may add to it */
	TLSTALL_SLOT_DONE = 3,	  /* ended; no longer written */
	TLSTALL_SLOT_CLAIMED = 4, /* being filled by its next owner: not readable */
};

enum tlstall_outcome {
	TLSTALL_OUTCOME_IN_FLIGHT = 0,
	TLSTALL_OUTCOME_OK = 1,
	TLSTALL_OUTCOME_FAILED = 2,
	TLSTALL_OUTCOME_ABANDONED = 3, /* SSL_free, SSL_clear or exit before its end */
};

enum tlstall_role { TLSTALL_ROLE_UNKNOWN, TLSTALL_ROLE_CLIENT, TLSTALL_ROLE_SERVER };

enum tlstall_bio_class {
	TLSTALL_BIO_NONE, /* the SSL has no BIO */
	TLSTALL_BIO_SOCKET,
	TLSTALL_BIO_DATAGRAM,
	TLSTALL_BIO_FD,
	TLSTALL_BIO_MEMORY,
	TLSTALL_BIO_PAIR,
	TLSTALL_BIO_CUSTOM, /* the program's own method: never called */
	TLSTALL_BIO_OTHER,
};

struct tlstall_transport {
	int32_t type;	   /* BIO_method_type() of the transport */
	int32_t fd;	   /* -1: none or unknown */
	uint16_t name;	   /* string id: BIO_method_name() of the transport */
	uint16_t filter;   /* string id: BIO_method_name() of the outermost filter BIO, 0: none */
	uint8_t bio_class; /* enum tlstall_bio_class */
	uint8_t blocking;  /* 0: non-blocking, 1: blocking, 2: unknown */
	uint8_t reserved[2];
};

/* An address from the kernel. A Unix socket has only its family, AF_UNIX. */
struct tlstall_address {
	uint16_t family;  /* AF_*, 0: unknown */
	uint16_t port;	  /* host byte order */
	uint8_t addr[16]; /* network byte order; IPv4 in the first four bytes */
};

/* From TCP_INFO, SIOCINQ and SIOCOUTQ at one instant. `ticks` 0: not taken. */
struct tlstall_socket {
	uint64_t ticks;
	uint64_t bytes_acked;	 /* tcpi_bytes_acked */
	uint64_t bytes_received; /* tcpi_bytes_received */
	uint32_t inq, outq;	 /* SIOCINQ, SIOCOUTQ: bytes; UINT32_MAX: unknown */
	uint32_t unacked;	 /* tcpi_unacked: segments in flight */
	uint32_t total_retrans;	 /* tcpi_total_retrans: segments */
	uint32_t rtt_us, rto_us; /* tcpi_rtt, tcpi_rto */
	uint32_t snd_mss;	 /* tcpi_snd_mss: bytes */
	uint32_t last_data_sent_ms, last_data_recv_ms,
		last_ack_recv_ms;     /* tcpi_last_*: time since */
	uint8_t tcp_state;	      /* TCP_ESTABLISHED ... 0: not TCP */
	uint8_t retransmits, backoff; /* tcpi_retransmits, tcpi_backoff */
	uint8_t ca_state;	      /* tcpi_ca_state */
	uint32_t data_segs_in;	      /* tcpi_data_segs_in, 0: unknown (1.2) */
};

struct tlstall_alert {
	uint32_t at_us;	     /* since the handshake's start */
	uint8_t by_peer;     /* 1: received, 0: sent */
	uint8_t level;	     /* 1: warning, 2: fatal */
	uint8_t description; /* AlertDescription of TLS */
	uint8_t reserved;
};

/* Flags of a handshake, ORed over its life. */
#define TLSTALL_HS_STALE_QUEUE 0x0001u	 /* an op began with errors in the queue */
#define TLSTALL_HS_OVERLAP 0x0002u	 /* two threads inside ops at once */
#define TLSTALL_HS_RENEGOTIATION 0x0004u /* follows a finished one on the same SSL */
#define TLSTALL_HS_INTERNAL 0x0008u	 /* reported by the info callback, without an op */
#define TLSTALL_HS_FATAL_RESUMED 0x0010u /* an op followed a fatal error */
#define TLSTALL_HS_INHERITED 0x0020u	 /* begun by a parent process, see `parent` */
#define TLSTALL_HS_FREED 0x0040u	 /* its SSL was freed, see `freed` */
#define TLSTALL_HS_CLEARED 0x0080u	 /* ended by SSL_clear or a new handshake */
#define TLSTALL_HS_RESUMED 0x0100u	 /* the session was reused */
#define TLSTALL_HS_PEER_CERT 0x0200u	 /* the peer showed a certificate */
#define TLSTALL_HS_WANT_MISMATCH 0x0400u /* SYSCALL without an error while SSL_want said retry */
/* 0x0800u is unused: a ClientHello that was sent twice shows in states[] */
#define TLSTALL_HS_QUIC 0x1000u
#define TLSTALL_HS_FIRST_READ 0x2000u /* first_read_ret and first_read_error are known */
#define TLSTALL_HS_SHUTDOWN 0x4000u   /* SSL_shutdown was called while unfinished */
#define TLSTALL_HS_SHORT_GET_ERROR                                                                 \
	0x8000u /* errors joined the queue between the op's return and SSL_get_error */
#define TLSTALL_HS_GAP_CPU 0x10000u  /* gap_cpu_ns is known (1.3) */
#define TLSTALL_HS_IDLE_CPU 0x20000u /* idle_cpu_ns is known (1.3) */
#define TLSTALL_HS_LEFT 0x40000u     /* an op never returned: longjmp, cancellation (1.3) */
#define TLSTALL_HS_LISTEN 0x80000u   /* DTLSv1_listen, SSL_stateless: stateless (1.3) */
#define TLSTALL_HS_LOOKED 0x80000000u /* found from outside: calls and start are unknown (1.3) */
/* had begun when the shim was attached: `start` is its first call that was seen (1.3) */
#define TLSTALL_HS_MIDDLE 0x40000000u

/* MIDDLE: nothing of it had moved for begun_ms, at its first call (1.3) */
#define TLSTALL_HS_STOOD 0x20000000u

#define TLSTALL_HS_COMPACT 0x1000000u /* mode watch: calls are in packed[] (1.3) */
#define TLSTALL_HS_WATCHED 0x2000000u /* COMPACT until it was late or failed (1.3) */
#define TLSTALL_HS_CPU_UNKNOWN 0x4000000u /* cpu_ns lacks some long calls (1.3) */

/* How a call of SSL_get_error did not match the last op. */
#define TLSTALL_MISUSE_RET 0x01u    /* its argument is not the last op's return value */
#define TLSTALL_MISUSE_THREAD 0x02u /* another thread ran the op */
#define TLSTALL_MISUSE_OTHER 0x04u  /* this thread ran an op on another SSL since */
#define TLSTALL_MISUSE_QUEUE 0x08u  /* the error queue changed since the op's return */

#define TLSTALL_STATES 20
#define TLSTALL_STATE_ID(s) ((uint8_t)((s) >> 56))
#define TLSTALL_STATE_TICKS(s) ((s)&0x00ffffffffffffffull) /* since `start` */

/* The least size of an entry, bytes: that of before 1.3. */
#define TLSTALL_HANDSHAKE_LEAST 896

/*
 * One handshake. Its owner writes it with plain stores. It can be read at any
 * time: copy it, then check that `number` and `status` have not changed.
 * Times are in ticks unless the name says otherwise.
 */
struct tlstall_handshake {
	uint64_t number; /* from 1 in each file; 0: slot never used */
	uint32_t status; /* enum tlstall_slot_status */
	uint32_t flags;	 /* TLSTALL_HS_* */
	uint64_t ssl;	 /* address of the SSL object */
	uint64_t parent; /* INHERITED, RENEGOTIATION: number of the earlier one */

	uint64_t created;  /* SSL_new; 0: not seen */
	uint64_t start;	   /* first op's entry */
	uint64_t end;	   /* 0: in flight */
	uint64_t enter;	   /* entry of the op in flight; 0: between ops */
	uint64_t leave;	   /* return of the last op; 0: none yet */
	uint64_t freed;	   /* SSL_free; 0: not yet */
	uint64_t progress; /* when a byte last moved or the state last changed */

	/* time split; the rest of (end or now) - start is "other" */
	uint64_t in_call;     /* inside ops that have returned */
	uint64_t cpu_ns;      /* thread CPU time in those */
	uint64_t gap_waiting; /* between ops, waiting for the peer */
	uint64_t gap_ready;   /* between ops, although the socket was ready */
	uint64_t gap_unknown; /* between ops, readiness unknown */

	uint64_t longest_gap, longest_gap_start;
	uint64_t longest_call, longest_call_start;
	uint64_t run_start; /* of the current run, see run */

	uint64_t bytes_in, bytes_out; /* BIO_number_read, BIO_number_written since the start */

	uint32_t calls, retries;
	uint32_t want_read, want_write, want_other;
	uint32_t get_errors;		  /* calls of SSL_get_error */
	uint32_t run, longest_run;	  /* equal results in a row without progress */
	/* MIDDLE: it had begun at least so long before `start`, milliseconds; 0: not known (1.3) */
	uint32_t begun_ms;
	uint32_t longest_gap_ready_ms;	  /* how long data lay ready in the longest gap */
	uint32_t first_flight;		  /* bytes written by the first op (ClientHello) */
	uint32_t pending_in, pending_out; /* bytes at the last op; UINT32_MAX: unknown */
	uint32_t thread_handshakes;	  /* ended on this thread before this one */

	int32_t last_ret;
	uint32_t ossl_error;   /* head of the error queue after the fatal op, else the last */
	uint32_t stale_error;  /* head of the queue at the first STALE_QUEUE entry */
	int32_t verify_result; /* X509_V_*, valid at the end */
	uint32_t process;      /* index in PROCESSES */
	uint32_t tid;	       /* of the op in flight or the last one */
	uint32_t stack_first, stack_fail; /* ids, 0: none */
	uint32_t misuse;		  /* TLSTALL_MISUSE_* ORed */
	int32_t first_read_ret;

	uint16_t version;   /* SSL_version(), such as 0x0304; 0: unknown */
	uint16_t reason;    /* string id: ERR_reason_error_string of ossl_error */
	uint16_t cipher;    /* string id */
	uint16_t group;	    /* string id */
	uint8_t outcome;    /* enum tlstall_outcome */
	uint8_t role;	    /* enum tlstall_role */
	uint8_t last_error; /* SSL_ERROR_* of the last op */
	uint8_t last_errno;
	uint8_t last_function;	  /* index in FUNCTIONS */
	uint8_t in_call_function; /* index in FUNCTIONS: the op in flight */
	uint8_t state;		  /* current state's id */
	uint8_t failed_state;	  /* last state before a failure */
	uint8_t state_count;	  /* entries of states[]; the last is overwritten when full */
	uint8_t alert_count;
	uint8_t longest_gap_want;      /* SSL_ERROR_* before the longest gap */
	uint8_t longest_run_error;     /* SSL_ERROR_* */
	uint8_t first_read_error;      /* SSL_ERROR_* */
	uint8_t libssl;		       /* index in header.libssl */
	uint8_t longest_call_function; /* index in FUNCTIONS */
	uint8_t events;		       /* events written so far; saturates */

	struct tlstall_transport read, write;
	struct tlstall_address local, peer;
	uint64_t socket_inode; /* st_ino of the descriptor; 0: unknown */

	struct tlstall_alert alerts[4];
	uint64_t states[TLSTALL_STATES];		/* TLSTALL_STATE_*: state completed, when */
	struct tlstall_socket at_start, at_gap, at_end; /* at_gap: end of the longest gap */
	char sni[72];  /* without a NUL: a longer name was cut, as the next */
	char alpn[16];

	/* since 1.3 */
	uint64_t fatal_last;   /* return of the last op after the fatal one; 0: none */
	uint64_t fatal_cpu_ns; /* thread CPU time from the fatal op to about fatal_last */
	uint64_t gap_cpu_ns;   /* thread CPU time in the longest gap, a lower bound */
	uint64_t idle_cpu_ns;  /* the same, from the last op to SSL_free of an unfinished one */
	uint64_t timer_last;   /* last call of DTLSv1_handle_timeout */
	uint32_t fatal_calls;  /* ops after the fatal one */
	uint32_t timer_calls;  /* calls of DTLSv1_handle_timeout that retransmitted */
	uint32_t connected_ms; /* from connect() or accept() to the first op; 0: unknown */
	/* the server's own key if it was late or failed: OpenSSL's NID, bits; 0: unknown */
	uint16_t key_type, key_bits;
	/*
	 * The period in which all certificates of the peer are valid, if verification failed
	 * for a date: decimal YYYYMMDDhhmmss, UTC; 0: unknown. After success only the second.
	 */
	uint64_t not_before, not_after;
	uint64_t start_realtime_ns; /* CLOCK_REALTIME at the start, the same for every reader */
	uint64_t packed[TLSTALL_PACKED]; /* COMPACT, WATCHED: the first calls, see TLSTALL_PACK */
};

TLSTALL_ASSERT(sizeof(struct tlstall_handshake) == 1024);
TLSTALL_AT(tlstall_handshake, calls, 184);
TLSTALL_AT(tlstall_handshake, last_ret, 240);
TLSTALL_AT(tlstall_handshake, version, 280);
TLSTALL_AT(tlstall_handshake, read, 304);
TLSTALL_AT(tlstall_handshake, local, 336);
TLSTALL_AT(tlstall_handshake, socket_inode, 376);
TLSTALL_AT(tlstall_handshake, alerts, 384);
TLSTALL_AT(tlstall_handshake, states, 416);
TLSTALL_AT(tlstall_handshake, at_start, 576);
TLSTALL_AT(tlstall_handshake, sni, 792);
TLSTALL_AT(tlstall_handshake, fatal_last, 880);
TLSTALL_AT(tlstall_handshake, fatal_calls, 920);
TLSTALL_AT(tlstall_handshake, key_type, 932);
TLSTALL_AT(tlstall_handshake, not_before, 936);
TLSTALL_AT(tlstall_handshake, packed, 960);
TLSTALL_ASSERT(sizeof(struct tlstall_socket) == 72);
TLSTALL_ASSERT(sizeof(struct tlstall_transport) == 16);
TLSTALL_ASSERT(sizeof(struct tlstall_address) == 20);

#endif
