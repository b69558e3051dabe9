/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace file: what the shim writes and every reader relies on.
 *
 * One file for each process image, mapped and preallocated, native byte order.
 * A header, then sections of fixed-size entries that the header lists. See
 * doc/FORMAT.md for the prose.
 *
 * Rules for changing it: a reader accepts any file with its own `major` and
 * any `minor`; take room from `reserved`, or append a section, and raise
 * `minor`. Moving or reinterpreting a field raises `major`. The assertions
 * below and the golden files in tests/golden/ hold us to that.
 *
 * Times are in ticks of the clock that the header names; `pair`s turn them
 * into nanoseconds. Strings are NUL-terminated and cut to their field.
 */
#ifndef TLSTALL_TRACE_H
#define TLSTALL_TRACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define TLSTALL_ASSERT(c) static_assert(c, #c)
#define TLSTALL_ALIGNED(n) alignas(n)
#else
#define TLSTALL_ALIGNED(n) _Alignas(n)
#define TLSTALL_ASSERT(c) _Static_assert(c, #c)
#endif

#define TLSTALL_MAGIC 0x0a6c6c6174736c74ull /* "tlstall\n", little endian */
#define TLSTALL_MAJOR 1
#define TLSTALL_MINOR 2
#define TLSTALL_BYTE_ORDER 0x01020304u

/* ---- header ------------------------------------------------------------ */

enum tlstall_clock_source {
	TLSTALL_CLOCK_MONOTONIC = 1, /* CLOCK_MONOTONIC, 1 tick = 1 ns */
	TLSTALL_CLOCK_TSC = 2,	     /* x86 time stamp counter */
	TLSTALL_CLOCK_CNTVCT = 3,    /* arm64 virtual counter */
};

/* The three clocks read together, at one instant. */
struct tlstall_clock_pair {
	uint64_t ticks;
	uint64_t monotonic_ns; /* CLOCK_MONOTONIC */
	uint64_t realtime_ns;  /* CLOCK_REALTIME, since the epoch */
};

enum tlstall_mode {
	TLSTALL_MODE_OFF = 0,
	TLSTALL_MODE_HANDSHAKE = 1,
	TLSTALL_MODE_ALL = 2,
};

enum tlstall_section_id {
	TLSTALL_SECTION_FUNCTIONS,  /* struct tlstall_function */
	TLSTALL_SECTION_STATES,	    /* struct tlstall_string; id 0 unused */
	TLSTALL_SECTION_STRINGS,    /* struct tlstall_string; id 0 unused */
	TLSTALL_SECTION_PROCESSES,  /* struct tlstall_process */
	TLSTALL_SECTION_MODULES,    /* struct tlstall_module */
	TLSTALL_SECTION_STACKS,	    /* struct tlstall_stack; id 0 unused */
	TLSTALL_SECTION_HANDSHAKES, /* struct tlstall_handshake */
	TLSTALL_SECTION_OPENING,    /* struct tlstall_event: the first TLSTALL_OPENING
				       events of each handshake, and all END events */
	TLSTALL_SECTION_REST,	    /* struct tlstall_event: all other events */
	TLSTALL_SECTION_COUNT,	    /* so many in every file */
	/* struct tlstall_look: appended by whoever watched the program, or not there (1.1) */
	TLSTALL_SECTION_LOOKS = TLSTALL_SECTION_COUNT,
	TLSTALL_SECTION_MAX = 16,
};

/*
 * Events of one handshake that go to the opening ring, so that a spinning
 * program cannot push the first calls of any handshake out of the file.
 */
#define TLSTALL_OPENING 16

struct tlstall_section {
	uint64_t offset;     /* bytes from the start of the file */
	uint32_t count;	     /* entries; a power of two for rings */
	uint32_t entry_size; /* bytes */
};

/* One libssl copy met in the process. */
struct tlstall_libssl {
	uint64_t start, end;  /* mapped range */
	uint32_t version_num; /* OpenSSL_version_num() */
	uint32_t reserved;
	char version[40]; /* OpenSSL_version(0) */
};

/* Settings that may be changed while the process runs: plain 32-bit stores. */
struct tlstall_control {
	uint32_t mode;	 /* enum tlstall_mode */
	uint32_t stacks; /* 0 or 1 */
	uint32_t socket; /* 0 or 1 */
	uint32_t reserved;
};

/* Each counts what could not be kept. */
struct tlstall_lost {
	uint64_t handshakes_without_slot; /* kept in the heap, events only */
	uint64_t slots_reused;		  /* ended handshakes overwritten by new ones */
	uint64_t stacks;
	uint64_t strings;
	uint64_t modules;
	uint64_t processes;
	uint64_t foreign_calls; /* on objects that no known libssl made */
	uint64_t unwound_in_child; /* stacks not taken, being a forked child of a threaded program */
};

struct tlstall_header {
	uint64_t magic; /* stored last, with release: the file is complete */
	uint16_t major, minor;
	uint32_t header_size; /* sizeof(struct tlstall_header) */
	uint32_t byte_order;
	uint32_t compat;   /* feature bits a reader may ignore */
	uint32_t incompat; /* feature bits a reader must know, or refuse */
	uint32_t pointer_size;
	uint32_t pid; /* of the process that made the file */
	uint32_t uid;
	uint64_t start_time; /* of that process: field 22 of /proc/PID/stat */

	uint32_t clock_source;	  /* enum tlstall_clock_source */
	uint32_t clock_disturbed; /* times a jump or a changed rate was noticed */
	struct tlstall_clock_pair first;
	uint32_t last_sequence; /* seqlock over `last`: odd while being written */
	uint32_t reserved0;
	struct tlstall_clock_pair last;

	struct tlstall_control control;
	uint32_t bad_settings; /* TLSTALL_BAD_SETTING() bits */
	uint32_t exited;       /* 1: the first process reached its end */
	uint64_t file_size;
	uint64_t exit_ticks;
	uint32_t forked; /* 1: the first process has forked */
	uint32_t section_count;
	struct tlstall_section section[TLSTALL_SECTION_MAX];
	struct tlstall_lost lost;
	struct tlstall_libssl libssl[4];
	uint32_t libssl_count;
	uint32_t image; /* traces of this process before this one: exec keeps its id and start */

	char comm[16];
	char host[64];
	char boot_id[40];
	char program[256]; /* /proc/self/exe */

	uint8_t reserved2[1024 + 24];

	/* Counters written by many threads: a cache line each. */
	TLSTALL_ALIGNED(64) uint64_t opening_head; /* events ever claimed in the ring */
	TLSTALL_ALIGNED(64) uint64_t rest_head;
	TLSTALL_ALIGNED(64) uint64_t handshakes; /* handshakes ever begun */
	TLSTALL_ALIGNED(64) uint64_t slot_cursor;
	TLSTALL_ALIGNED(64) uint32_t function_count;
	uint32_t state_count, string_count, process_count, module_count, stack_count;
};

/* ---- small tables ------------------------------------------------------ */

enum tlstall_function_kind {
	TLSTALL_KIND_CONNECT = 1,
	TLSTALL_KIND_ACCEPT,
	TLSTALL_KIND_DO_HANDSHAKE,
	TLSTALL_KIND_READ, /* SSL_read, SSL_read_ex, SSL_peek, SSL_peek_ex, early data */
	TLSTALL_KIND_WRITE,
	TLSTALL_KIND_SHUTDOWN,
	TLSTALL_KIND_GET_ERROR,
	TLSTALL_KIND_STATE,    /* info callback functions, SSL_CTX_new: never recorded */
	TLSTALL_KIND_INTERNAL, /* a handshake seen only by its info callback */
};

struct tlstall_function {
	uint8_t kind; /* enum tlstall_function_kind */
	uint8_t reserved[7];
	char name[40];
};

struct tlstall_string {
	uint32_t commit; /* 1 once complete */
	char text[60];
};

/* The process that made the file (index 0) and its forked children. */
struct tlstall_process {
	uint32_t commit;
	uint32_t pid;
	uint32_t parent; /* process id */
	uint32_t exited; /* 1: ran its exit handlers */
	uint64_t first_ticks;
	uint64_t exit_ticks;
	uint64_t start_time; /* field 22 of /proc/PID/stat, 0: not known */
	char comm[16];
	uint8_t reserved[8];
};

struct tlstall_module {
	uint32_t commit;
	uint32_t build_id_size;
	uint64_t start, end; /* mapped range */
	uint64_t bias;	     /* address = bias + ELF virtual address */
	uint8_t build_id[24];
	char path[200];
};

#define TLSTALL_STACK_FRAMES 30
struct tlstall_stack {
	uint32_t commit;
	uint32_t count;
	uint64_t hash;
	uint64_t frames[TLSTALL_STACK_FRAMES]; /* return addresses, innermost first */
};

/* ---- handshakes -------------------------------------------------------- */

enum tlstall_slot_status {
	TLSTALL_SLOT_FREE = 0,
	TLSTALL_SLOT_LIVE = 1,	 /* handshake unfinished */
	TLSTALL_SLOT_LINGER = 2, /* ended; its SSL object lives and may add to it */
	TLSTALL_SLOT_DONE = 3,	 /* ended; nobody writes any more */
	TLSTALL_SLOT_CLAIMED = 4, /* being filled by its next owner: do not read */
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
	TLSTALL_BIO_CUSTOM, /* a method of the program's own: not looked into */
	TLSTALL_BIO_OTHER,
};

struct tlstall_transport {
	int32_t type;	     /* BIO_method_type() of the transport */
	int32_t fd;	     /* -1: none or not known */
	uint16_t name;	     /* string id: BIO_method_name() of the transport */
	uint16_t filter;     /* string id: of the outermost filter BIO, 0: none */
	uint8_t bio_class;   /* enum tlstall_bio_class */
	uint8_t blocking;    /* 0: non-blocking, 1: blocking, 2: not known */
	uint8_t reserved[2];
};

/* An address as the kernel gave it. Unix sockets have family AF_UNIX only. */
struct tlstall_address {
	uint16_t family; /* AF_*, 0: not known */
	uint16_t port;	 /* host byte order */
	uint8_t addr[16]; /* network byte order; IPv4 in the first four */
};

/* From TCP_INFO, SIOCINQ and SIOCOUTQ at one instant. `ticks` 0: not taken. */
struct tlstall_socket {
	uint64_t ticks;
	uint64_t bytes_acked;	 /* tcpi_bytes_acked */
	uint64_t bytes_received; /* tcpi_bytes_received */
	uint32_t inq, outq;	 /* bytes; UINT32_MAX: not known */
	uint32_t unacked;	 /* segments in flight */
	uint32_t total_retrans;	 /* segments */
	uint32_t rtt_us, rto_us;
	uint32_t snd_mss;
	uint32_t last_data_sent_ms, last_data_recv_ms, last_ack_recv_ms; /* ago */
	uint8_t tcp_state;					/* TCP_ESTABLISHED ... 0: not TCP */
	uint8_t retransmits, backoff;
	uint8_t ca_state;
	uint32_t data_segs_in; /* tcpi_data_segs_in, 0: not known (1.2) */
};

struct tlstall_alert {
	uint32_t at_us; /* since the handshake's start */
	uint8_t by_peer;
	uint8_t level;
	uint8_t description;
	uint8_t reserved;
};

/* Flags of a handshake, ORed over its life. */
#define TLSTALL_HS_STALE_QUEUE 0x0001u	 /* an op began with a non-empty error queue */
#define TLSTALL_HS_OVERLAP 0x0002u	 /* two threads inside ops at once */
#define TLSTALL_HS_RENEGOTIATION 0x0004u /* follows a finished one on the same SSL */
#define TLSTALL_HS_INTERNAL 0x0008u	 /* seen by its info callback, by no op */
#define TLSTALL_HS_FATAL_RESUMED 0x0010u /* an op followed a fatal error */
#define TLSTALL_HS_INHERITED 0x0020u	 /* begun by a parent process, see `parent` */
#define TLSTALL_HS_FREED 0x0040u	 /* its SSL was freed, see freed_ticks */
#define TLSTALL_HS_CLEARED 0x0080u	 /* ended by SSL_clear or a new handshake */
#define TLSTALL_HS_RESUMED 0x0100u	 /* the session was reused */
#define TLSTALL_HS_PEER_CERT 0x0200u	 /* the peer showed a certificate */
#define TLSTALL_HS_WANT_MISMATCH 0x0400u /* SYSCALL with nothing wrong while SSL_want said retry */
#define TLSTALL_HS_HELLO_RETRY 0x0800u	 /* the ClientHello was sent twice */
#define TLSTALL_HS_QUIC 0x1000u
#define TLSTALL_HS_FIRST_READ 0x2000u	 /* the first read after the end was seen, see first_read */
#define TLSTALL_HS_SHUTDOWN 0x4000u	 /* SSL_shutdown was called while unfinished */
#define TLSTALL_HS_SHORT_GET_ERROR 0x8000u /* queue filled between the op's return and SSL_get_error */

/* What SSL_get_error was told that does not fit the last op. */
#define TLSTALL_MISUSE_RET 0x01u    /* the value is not the last op's return */
#define TLSTALL_MISUSE_THREAD 0x02u /* another thread ran the op */
#define TLSTALL_MISUSE_OTHER 0x04u  /* this thread ran an op on another SSL since */
#define TLSTALL_MISUSE_QUEUE 0x08u  /* error queue changed since the op's return */

#define TLSTALL_STATES 20
#define TLSTALL_STATE_ID(s) ((uint8_t)((s) >> 56))
#define TLSTALL_STATE_TICKS(s) ((s) & 0x00ffffffffffffffull) /* since start_ticks */

/*
 * One handshake. Written by its owner with plain stores, readable at any time:
 * take a copy, then check that `number` and `status` are what they were.
 * Times are ticks unless the name says otherwise.
 */
struct tlstall_handshake {
	uint64_t number; /* from 1 in each file; 0: slot never used */
	uint32_t status; /* enum tlstall_slot_status */
	uint32_t flags;	 /* TLSTALL_HS_* */
	uint64_t ssl;	 /* address of the SSL object */
	uint64_t parent; /* INHERITED, RENEGOTIATION: number of the one before */

	uint64_t created;  /* SSL_new, 0: not seen */
	uint64_t start;	   /* first op's entry */
	uint64_t end;	   /* 0: in flight */
	uint64_t enter;	   /* entry of the op in flight; 0: between ops */
	uint64_t leave;	   /* return of the last op; 0: none yet */
	uint64_t freed;	   /* SSL_free; 0: not yet */
	uint64_t progress; /* when a byte moved or the state changed last */

	/* time split; the rest of (end or now) - start is "other" */
	uint64_t in_call;     /* inside ops that have returned */
	uint64_t cpu_ns;      /* thread CPU time of those, nanoseconds */
	uint64_t gap_waiting; /* between ops, for the peer */
	uint64_t gap_ready;   /* between ops, although the socket was ready */
	uint64_t gap_unknown; /* between ops, the BIO cannot tell */

	uint64_t longest_gap, longest_gap_start;
	uint64_t longest_call, longest_call_start;
	uint64_t run_start; /* of the current run, see run */

	uint64_t bytes_in, bytes_out; /* BIO_number_read / written since start */

	uint32_t calls, retries;
	uint32_t want_read, want_write, want_other;
	uint32_t get_errors;
	uint32_t run, longest_run;     /* equal results in a row with no progress */
	uint32_t run_gap_ns;	       /* mean gap in the longest run, nanoseconds */
	uint32_t longest_gap_ready_ms; /* how long data lay ready in the longest gap */
	uint32_t first_flight;	       /* bytes written by the first op (ClientHello) */
	uint32_t pending_in, pending_out; /* bytes at the last op, UINT32_MAX: not known */
	uint32_t thread_handshakes;	  /* ended on this thread before this one */

	int32_t last_ret;
	uint32_t ossl_error;  /* head of the error queue at the fatal, else last, op's exit */
	uint32_t stale_error; /* head of the queue at the first STALE_QUEUE entry */
	int32_t verify_result; /* X509_V_*, valid at the end */
	uint32_t process;      /* index in PROCESSES */
	uint32_t tid;	       /* of the op in flight or the last one */
	uint32_t stack_first, stack_fail; /* ids, 0: none */
	uint32_t misuse;		  /* TLSTALL_MISUSE_* ORed */
	int32_t first_read_ret;

	uint16_t version; /* SSL_version(): 0x0304 ..., 0: not known */
	uint16_t reason;  /* string id: ERR_reason_error_string of ossl_error */
	uint16_t cipher;  /* string id */
	uint16_t group;	  /* string id */
	uint8_t outcome;  /* enum tlstall_outcome */
	uint8_t role;	  /* enum tlstall_role */
	uint8_t last_error; /* SSL_ERROR_* of the last op */
	uint8_t last_errno;
	uint8_t last_function;	  /* index in FUNCTIONS */
	uint8_t in_call_function; /* of the op in flight */
	uint8_t state;		  /* state id, now */
	uint8_t failed_state;	  /* last state before a failure */
	uint8_t state_count;	  /* entries of states[]; the last is overwritten when full */
	uint8_t alert_count;
	uint8_t longest_gap_want; /* SSL_ERROR_* before the longest gap */
	uint8_t longest_run_error;
	uint8_t first_read_error;
	uint8_t libssl; /* index in header.libssl */
	uint8_t longest_call_function;
	uint8_t events; /* events written so far, saturates */

	struct tlstall_transport read, write;
	struct tlstall_address local, peer;
	uint64_t socket_inode; /* st_ino of the descriptor, 0: not known */

	struct tlstall_alert alerts[4];
	uint64_t states[TLSTALL_STATES]; /* TLSTALL_STATE_*: state completed, when */
	struct tlstall_socket at_start, at_gap, at_end; /* at_gap: end of the longest gap */
	char sni[72];
	char alpn[16];
	uint8_t reserved[16];
};

/* ---- events ------------------------------------------------------------ */

enum tlstall_event_type {
	TLSTALL_EVENT_CALL = 1,	     /* an op returned */
	TLSTALL_EVENT_GET_ERROR = 2, /* SSL_get_error answered */
	TLSTALL_EVENT_QUEUE = 3,     /* the op that follows began with a filled error queue */
	TLSTALL_EVENT_TRANSPORT = 4, /* the SSL has other BIOs than before */
	TLSTALL_EVENT_END = 5,	     /* a handshake ended */
};

#define TLSTALL_EV_SERVER 0x01u	  /* role */
#define TLSTALL_EV_BLOCKING 0x02u /* descriptor */
#define TLSTALL_EV_BLOCKING_KNOWN 0x04u
#define TLSTALL_EV_STALE_QUEUE 0x08u /* a QUEUE event comes before */
#define TLSTALL_EV_FINISHED 0x10u    /* SSL_is_init_finished() at the return */
#define TLSTALL_EV_OVERLAP 0x20u     /* another thread was inside an op */
#define TLSTALL_EV_CLIENT 0x40u	     /* role; neither: not known */
#define TLSTALL_EV_FOREIGN 0x80u     /* object of no known libssl: nothing was looked at */

#define TLSTALL_NO_SLOT UINT32_MAX

/*
 * 64 bytes. Position p of a ring with n entries lies at index p % n and is
 * complete when `commit` is (uint32_t)(p + 1), which is stored last.
 */
struct tlstall_event {
	uint32_t commit;
	uint8_t type;	  /* enum tlstall_event_type */
	uint8_t function; /* index in FUNCTIONS */
	uint8_t state;	  /* state id at the return */
	uint8_t error;	  /* SSL_ERROR_*; GET_ERROR: the answer */
	uint64_t ticks;	  /* entry of the call */
	uint64_t ssl;
	uint32_t slot;	    /* index in HANDSHAKES or TLSTALL_NO_SLOT */
	uint32_t handshake; /* low 32 bits of the number, 0: none */
	float duration;	    /* ticks; relative error below 1e-7 */
	int32_t ret;	    /* GET_ERROR: the value passed; END: enum tlstall_outcome */
	uint32_t ossl_error; /* head of the error queue at exit (QUEUE: at entry) */
	uint32_t retry;	     /* ops of this handshake before this one */
	uint32_t tid;
	uint16_t process; /* index in PROCESSES */
	uint8_t error_number; /* errno at the return */
	uint8_t flags;	      /* TLSTALL_EV_* */
	union {
		uint32_t pending_in; /* CALL: bytes in the built-in BIO, UINT32_MAX: not known */
		uint32_t misuse;     /* GET_ERROR: TLSTALL_MISUSE_* */
		int32_t fd;	     /* TRANSPORT */
	};
	union {
		uint32_t pending_out;
		uint32_t bio_name; /* TRANSPORT: string id of the read side */
	};
};

/* ---- looks ------------------------------------------------------------- */

/*
 * What the kernel said of one handshake that took long, when it was asked last
 * by somebody outside. Not written by the shim: by whoever keeps the trace of a
 * program that it watched, behind the rest of the file.
 */
struct tlstall_look {
	uint64_t handshake;	      /* its number */
	uint64_t seen;		      /* when its process was seen alive last, ticks */
	struct tlstall_socket socket; /* `ticks` 1: known */
	struct tlstall_address peer;  /* of that socket */
	uint32_t process;	      /* index in PROCESSES */
	int32_t fd;		      /* of the system call, -1: none */
	uint8_t wait;		      /* enum tlstall_wait */
	uint8_t moved;		      /* 1: the handshake has moved after that look */
	uint8_t reserved[2];
	char syscall[24]; /* that the thread was in, "": none or not known */
	uint8_t reserved2[16];
};

/* What the thread that was inside the op, or ran the last one, waited for. */
enum tlstall_wait {
	TLSTALL_WAIT_UNKNOWN,
	TLSTALL_WAIT_NOT_LOOKED,
	TLSTALL_WAIT_ON_SOCKET, /* a system call on the SSL's own descriptor */
	TLSTALL_WAIT_OTHER_FD,	/* a system call on another descriptor */
	TLSTALL_WAIT_POLL,	/* poll, select, epoll */
	TLSTALL_WAIT_FUTEX,
	TLSTALL_WAIT_RANDOM, /* getrandom, /dev/random */
	TLSTALL_WAIT_SLEEP,
	TLSTALL_WAIT_RUNNING, /* on CPU, or waiting for it */
	TLSTALL_WAIT_STOPPED, /* SIGSTOP, debugger */
	TLSTALL_WAIT_GONE,    /* the thread or process has ended */
};

/* ---- what must hold ---------------------------------------------------- */

#define TLSTALL_AT(type, field, offset) TLSTALL_ASSERT(offsetof(struct type, field) == (offset))

TLSTALL_ASSERT(sizeof(struct tlstall_header) == 2496);
TLSTALL_AT(tlstall_header, first, 56);
TLSTALL_AT(tlstall_header, control, 112);
TLSTALL_AT(tlstall_header, section, 160);
TLSTALL_AT(tlstall_header, lost, 416);
TLSTALL_AT(tlstall_header, libssl, 480);
TLSTALL_AT(tlstall_header, comm, 744);
TLSTALL_AT(tlstall_header, program, 864);
TLSTALL_AT(tlstall_header, opening_head, 2176);
TLSTALL_AT(tlstall_header, function_count, 2432);
TLSTALL_ASSERT(sizeof(struct tlstall_handshake) == 896);
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
TLSTALL_ASSERT(sizeof(struct tlstall_event) == 64);
TLSTALL_AT(tlstall_event, slot, 24);
TLSTALL_AT(tlstall_event, ret, 36);
TLSTALL_AT(tlstall_event, process, 52);
TLSTALL_AT(tlstall_event, pending_in, 56);
TLSTALL_ASSERT(sizeof(struct tlstall_socket) == 72);
TLSTALL_ASSERT(sizeof(struct tlstall_look) == 160);
TLSTALL_AT(tlstall_look, peer, 88);
TLSTALL_AT(tlstall_look, wait, 116);
TLSTALL_AT(tlstall_look, syscall, 120);
TLSTALL_ASSERT(sizeof(struct tlstall_string) == 64);
TLSTALL_ASSERT(sizeof(struct tlstall_function) == 48);
TLSTALL_ASSERT(sizeof(struct tlstall_process) == 64);
TLSTALL_ASSERT(sizeof(struct tlstall_module) == 256);
TLSTALL_ASSERT(sizeof(struct tlstall_stack) == 256);
TLSTALL_ASSERT(sizeof(struct tlstall_transport) == 16);
TLSTALL_ASSERT(sizeof(struct tlstall_address) == 20);

#endif
