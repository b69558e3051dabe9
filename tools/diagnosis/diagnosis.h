/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of one handshake and its neighbours in, verdict out. Pure: no I/O, no
 * clock, no allocation that the caller does not see. The catalogue of causes
 * is causes.def; doc/DIAGNOSIS.md is its prose.
 */
#ifndef TOOLS_DIAGNOSIS_DIAGNOSIS_H
#define TOOLS_DIAGNOSIS_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tlstall/trace.h"

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

/* What a thread that is inside an op is doing, seen from outside (tools/kernel): see trace.h. */
enum wait_kind {
	WAIT_UNKNOWN = TLSTALL_WAIT_UNKNOWN,
	WAIT_NOT_LOOKED = TLSTALL_WAIT_NOT_LOOKED,
	WAIT_ON_SOCKET = TLSTALL_WAIT_ON_SOCKET,
	WAIT_OTHER_FD = TLSTALL_WAIT_OTHER_FD,
	WAIT_POLL = TLSTALL_WAIT_POLL,
	WAIT_FUTEX = TLSTALL_WAIT_FUTEX,
	WAIT_RANDOM = TLSTALL_WAIT_RANDOM,
	WAIT_SLEEP = TLSTALL_WAIT_SLEEP,
	WAIT_RUNNING = TLSTALL_WAIT_RUNNING,
	WAIT_STOPPED = TLSTALL_WAIT_STOPPED,
	WAIT_GONE = TLSTALL_WAIT_GONE,
};

/*
 * All that the engine may look at. Times in nanoseconds. Made from a trace by
 * facts_from_trace() (facts.h), or by hand in tests. Strings may be NULL.
 */
struct facts {
	struct tlstall_handshake h; /* as recorded, in ticks: use the times below */

	uint64_t age_ns;	    /* start to end, or to now */
	uint64_t in_op_ns;	    /* the op in flight has been so long inside, 0: between ops */
	uint64_t idle_ns;	    /* between ops: since the last return */
	uint64_t since_progress_ns; /* no byte moved and no state changed for so long */
	uint64_t longest_gap_ns, longest_call_ns;
	uint64_t run_ns;	  /* length of the longest run of equal results */
	uint64_t before_start_ns; /* SSL_new to first op, 0: not known */
	uint64_t free_after_ns;	  /* SSL_free after the last return, when FREED */
	/* of the ops that have returned; facts_settle() adds what is still open */
	uint64_t in_call_ns, gap_waiting_ns, gap_ready_ns;
	struct time_split time;

	/* the longest time between two states; `flight`: the peer's next flight was awaited */
	uint64_t state_wait_ns;
	const char *state_wait;
	bool state_wait_flight;
	uint64_t flight_ns; /* flights of the peer were arriving: begun, and not complete */
	bool next_arrived;  /* the state came twice: the message after it has begun to arrive */
	bool hello_retry;

	const char *state, *failed_state; /* SSL_state_string_long */
	const char *reason;		  /* of ossl_error */
	const char *in_call_function, *last_function;
	enum tlstall_function_kind in_call_kind, last_kind;
	bool process_alive;
	bool process_exited;	 /* ended in good order, not killed */
	uint64_t exit_after_ns;	 /* ... so long after the end of the handshake; 0: not, or not known
				  */
	bool finished_before;	 /* the SSL had completed a handshake before this one */
	uint32_t libssl_version; /* OpenSSL_version_num(), 0: not known */

	/* seen from outside, now; `live.ticks` 0: not asked */
	struct tlstall_socket live;
	struct tlstall_socket
		seen; /* at an earlier look: it has moved since; `ticks` 0: not asked */
	enum wait_kind wait, seen_wait; /* now; at the earlier look */
	const char *wait_syscall;	/* name, or NULL */
	int wait_fd;			/* -1: none */
	const char *stack_symbols;	/* innermost first, " < " between, NULL: not looked */

	/* neighbours */
	uint32_t peers_ok, peers_stalled; /* other handshakes with the same peer address */
	uint32_t thread_other_ops; /* of this thread on other SSL objects, in our longest gap */
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
 * Splits the time anew: call it when `live` was added, which may tell that the
 * socket was ready in the gap that is still open, and counts the bytes of an
 * op in flight.
 */
void facts_settle(struct facts *facts);

/* Up to `room` verdicts, the costliest first; at least one (CAUSE_NONE or CAUSE_UNKNOWN). */
unsigned diagnose(const struct facts *facts, struct verdict *verdicts, unsigned room);

/* A handshake slower than this, or in flight for longer, is worth a paragraph. */
#define SLOW_HANDSHAKE_NS 1000000000ull

#endif
