/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of one handshake and its neighbors in, verdicts out. Pure: no I/O, no clock, no hidden
 * allocation. The catalog of causes is causes.def; doc/DIAGNOSIS.md explains it.
 */
#ifndef TOOLS_DIAGNOSIS_DIAGNOSIS_H
#define TOOLS_DIAGNOSIS_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tlstall/look.h"

enum fault {
	FAULT_NONE,
	FAULT_PROGRAM,
	FAULT_HOST,
	FAULT_NETWORK,
	FAULT_PEER,
	FAULT_CONFIGURATION,
	FAULT_UNKNOWN,
};
const char *fault_name(enum fault fault); /* "program", "host" ... as in JSON */

enum confidence { CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH };
const char *confidence_name(enum confidence confidence);

/* A causes.def row: CAUSE(NAME, FAULT, "title in plain words", "advice: one next step"). */
enum cause {
#define CAUSE(name, fault, title, advice) CAUSE_##name,
#include "causes.def"
#undef CAUSE
	CAUSE_COUNT
};
const char *cause_name(enum cause cause); /* "PEER_SILENT" ... */
const char *cause_title(enum cause cause);

/* Where the wall time went. The five parts add up to `total_ns`, always. */
struct time_split {
	uint64_t total_ns;
	uint64_t cpu_ns;	  /* on CPU inside OpenSSL */
	uint64_t wait_in_call_ns; /* inside OpenSSL, not on CPU */
	uint64_t gap_waiting_ns;  /* between ops, for the peer */
	uint64_t gap_ready_ns;	  /* between ops, although the socket or BIO was ready */
	uint64_t other_ns;
};

/* What the other handshakes of a trace show about one. */
struct neighborhood {
	uint32_t peers_ok, peers_stalled; /* with the same peer address */
	uint32_t thread_other_ops; /* of this thread on other SSL objects, in this handshake's
				      longest gap */
	/* how often, at least, the thread waited for events while this socket was ready: up to 2 */
	uint32_t polls;
	/* the longest time without a call of this thread in that gap while this socket was ready */
	uint64_t hole_ns;
	uint32_t hole_waiters; /* other handshakes of this thread that waited for its end */
	/* the window from the peer's first byte, or the start, to the end: its length, the time
	   that the thread spent inside OpenSSL, the longest without a call of it, and the
	   handshakes that ended on it */
	uint64_t window_ns, busy_ns, rest_ns;
	uint32_t window_handshakes;
	bool pool;	      /* other threads or processes serve the same port */
	bool same_socket;     /* another SSL object has finished a handshake on this descriptor */
	bool same_descriptor; /* ... according to a summary, which has only the number */
};

/*
 * All that the engine may look at. Times in nanoseconds. Made from a trace by
 * facts_from_trace() (facts.h), or by hand in tests. Strings may be NULL.
 */
struct facts {
	/* as recorded: see struct tlstall_handshake */
	uint8_t outcome, role;
	uint16_t version;
	uint32_t flags, misuse; /* TLSTALL_HS_*, TLSTALL_MISUSE_* */
	bool entered, ended;	/* inside an op; over */
	uint32_t calls, retries, want_read, want_write, want_other, get_errors;
	bool get_errors_left_out; /* not recorded: mode `handshake` or `off` */
	uint32_t longest_run, longest_gap_ready_ms, first_flight;
	uint32_t pending_in, pending_out; /* UINT32_MAX: not known */
	uint32_t thread_handshakes, stale_error;
	uint64_t bytes_in, bytes_out, cpu_ns;
	int32_t last_ret, verify_result;
	uint8_t last_error, last_errno, first_read_error;
	uint8_t longest_gap_want, longest_run_error, alert_count, state_count;
	struct tlstall_alert alerts[4];
	struct tlstall_transport read, write;
	struct tlstall_address local, peer;
	struct tlstall_socket at_start, at_gap, at_end;
	char sni[72]; /* what was, or is to be, asked for; "": no name, unless */
	bool sni_hidden; /* ... names were left out of the trace on request */

	/* the wall clock at the end, or now, as it ran on from the program's start; 0: not known */
	uint64_t realtime_s;
	int64_t clock_step_s; /* and by how much it was set since, or the host slept */
	/* of the peer's chain as a whole, 20480131235959 for a date; 0: not known */
	uint64_t not_before, not_after;

	uint64_t age_ns;	    /* start to end, or to now */
	uint64_t in_op_ns;	    /* how long the op in flight has been inside; 0: between ops */
	uint64_t idle_ns;	    /* between ops: since the last return */
	uint64_t since_progress_ns; /* no byte moved and no state changed for so long */
	uint64_t longest_gap_ns, longest_call_ns;
	bool forked;		  /* a child of fork() that has not exec'ed */
	uint64_t since_state_ns;  /* the last state was reached so long ago */
	uint64_t run_ns;	  /* length of the longest run of equal results */
	uint64_t before_start_ns; /* SSL_new to first op, 0: not known */
	uint64_t free_after_ns;	  /* SSL_free after the last return, when FREED */
	/* CPU time of the thread, at least: in the longest gap; from the last return to SSL_free */
	bool gap_cpu_known, idle_cpu_known;
	uint64_t gap_cpu_ns, idle_cpu_ns;
	/* ops after the one that failed: how many, until when, CPU time of the thread meanwhile */
	uint32_t fatal_calls;
	uint64_t fatal_ns, fatal_cpu_ns;
	uint32_t timer_calls;	 /* of DTLSv1_handle_timeout */
	uint64_t timer_since_ns; /* since the last of those */
	bool timer_known;	 /* they were recorded: since 1.3 */
	uint32_t connected_ms;	 /* from connect() or accept() to the first op, 0: not known */
	uint16_t key_type, key_bits; /* a server's: OpenSSL's NID; 0: not known */
	/* of the ops that have returned; facts_settle() adds what is still open */
	uint64_t in_call_ns, gap_waiting_ns, gap_ready_ns;

	/* the longest time between two states; `flight`: the peer's next flight was awaited */
	uint64_t state_wait_ns;
	const char *state_wait;
	bool state_wait_flight;
	uint64_t sign_ns;	/* a server's stay where it signs, 0: not known */
	uint64_t first_read_ns; /* start to the peer's first message; 0: none came, or not known */
	uint64_t flight_ns;	/* flights of the peer were arriving: begun, and not complete */
	bool next_arrived;	/* the state came twice: the message after it has begun to arrive */
	bool hello_retry;

	const char *state, *failed_state; /* SSL_state_string_long */
	const char *reason;		  /* of ossl_error */
	const char *in_call_function, *last_function;
	enum tlstall_function_kind in_call_kind, last_kind;
	bool process_alive;
	bool detached; /* it was in flight when tlstall left */
	bool process_exited;	 /* ended in good order, not killed */
	uint64_t exit_after_ns;	 /* ... so long after the end of the handshake; 0: not, or not known
				  */
	bool finished_before;	 /* the SSL had completed a handshake before this one */
	uint32_t libssl_version; /* OpenSSL_version_num(), 0: not known */

	/* seen from outside now; `live.ticks` 0: not asked */
	struct tlstall_socket live;
	struct tlstall_tcp tcp; /* of that socket */
	uint32_t fitting; /* if its connection is not known: connections of the process that may be
			     it */
	/* ... and how many of those took and brought exactly its bytes; 0 if any has bytes unread */
	uint32_t idle;
	uint32_t unread;  /* ... and how many have had bytes unread for TLSTALL_UNREAD_MS */
	enum tlstall_descriptor descriptor;
	bool guessed;	  /* `live` is the only one that fits, and may be another's */
	/* of memory BIOs: the only TCP connection of the process that can have carried their bytes
	 */
	struct tlstall_socket only;
	enum tlstall_wait wait;
	const char *wait_syscall; /* name, or NULL */
	int wait_fd;		  /* -1: none */
	uint32_t accept_waiting;  /* connections that the process has not accepted yet */
	bool private_lock;	  /* no other process can give the lock back */
	uint32_t threads;	  /* of the process, 0: not known */
	/* of the thread: time on or waiting for a CPU, CPU time, and time in system calls, in a
	   period of burnt_over_ns; 0: not known */
	uint64_t burnt_ns, burnt_ran_ns, burnt_system_ns, burnt_over_ns;
	const char *stack_symbols; /* innermost first, " < " between, NULL: not looked */

	/* at an earlier look, since which it has moved: its socket (`ticks` 0: not asked), and all
	 */
	struct tlstall_socket seen;
	const struct facts *then; /* settled; NULL: there was none */

	struct neighborhood others;

	/* what follows from all that: facts_settle() */
	struct time_split time;
	uint64_t rtt_ns;     /* 0: not known */
	bool looked;	     /* found from outside: calls, results and begin are not known */
	uint64_t begun_ns;   /* the shim was attached later: the handshake began at least this long
			        before; 0: not known */
	bool ok, failed;     /* neither: in flight or abandoned */
	bool stuck;	     /* unfinished, and nothing moves */
	bool in_op;	     /* unfinished, and inside an op */
	bool swapped; /* the descriptor's connection carried less than OpenSSL wrote */
	bool left; /* unfinished, and its op never returns: longjmp, the end of its thread */
	bool slow;	     /* took, or takes, long enough to be worth a word */
	bool built_in;	     /* a BIO whose descriptor is known */
	bool memory;	     /* memory BIO or BIO pair: the program moves the bytes */
	bool may_block;	     /* an op may wait for the socket inside */
	bool unacked;	     /* what we sent is not acknowledged although it is overdue */
	bool window_shut;    /* ... and was never sent, as the peer takes nothing */
	bool unanswered;     /* keepalive probes */
	uint32_t notsent;    /* tcpi_notsent_bytes */
	bool mid_flight;     /* a part of the peer's flight has come */
	uint32_t segments;   /* of the peer since the first op, 0: not known */
	uint64_t arrived;    /* bytes in them */
	bool full;	     /* they are about as large as segments can be */
	uint64_t segment_ns; /* from one to the next, while a flight came */
	bool comes_slowly;   /* a narrow path: full segments come one by one */
	bool leaves_slowly;  /* the same, of what we sent */
};

#define VERDICT_EVIDENCE 8
#define VERDICT_NOT_TOLD_FROM 4

struct verdict {
	enum cause cause;
	enum fault fault;
	enum confidence confidence;
	uint64_t cost_ns; /* time that this cause took */
	char evidence[VERDICT_EVIDENCE][200];
	unsigned evidence_count;
	enum cause not_told_from[VERDICT_NOT_TOLD_FROM];
	unsigned not_told_from_count;
	const char *advice;
};

/*
 * Derives what follows from what was recorded, seen from outside, and shown by the neighbors: call
 * it once all of that is there, before judging.
 */
void facts_settle(struct facts *facts);

/*
 * From settled facts: up to `room` verdicts, the costliest first; at least one (CAUSE_NONE or
 * CAUSE_UNKNOWN).
 */
unsigned diagnose(const struct facts *facts, struct verdict *verdicts, unsigned room);

/* A handshake slower than this, or in flight for longer, is worth a paragraph. */
#define SLOW_HANDSHAKE_NS 1000000000ull

#endif
