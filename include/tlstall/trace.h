/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace file: what the shim writes and every reader relies on.
 *
 * One file for each process image, mapped, sparse, in native byte order.
 * A header, then sections of fixed-size entries that the header lists: tables
 * and events below, handshakes in handshake.h, summaries in summary.h, looks in
 * look.h. doc/FORMAT.md explains it in prose.
 *
 * Rules for changing it: a reader accepts any file with its own `major` and
 * any `minor`; take room from `reserved`, or append a section, and raise
 * `minor`. Moving or reinterpreting a field raises `major`. The assertions
 * below and the golden files in tests/golden/ hold us to that.
 *
 * Times are in ticks of the clock that the header names; struct
 * tlstall_clock_pair converts them to nanoseconds. Strings are NUL-terminated
 * and truncated to their field, but for the names in handshake.h. An "op" is a call that can drive a handshake.
 */
#ifndef TLSTALL_TRACE_H
#define TLSTALL_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "tlstall/assert.h"
#include "tlstall/handshake.h"

#define TLSTALL_MAGIC 0x0a6c6c6174736c74ull /* "tlstall\n", little endian */
#define TLSTALL_MAJOR 1
#define TLSTALL_MINOR 5
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
	TLSTALL_MODE_WATCH = 3, /* each handshake compactly, late and failed ones in full (1.3) */
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
	TLSTALL_SECTION_COUNT,	    /* every file has those above */
	/* struct tlstall_look (look.h): appended by the tool that watched the program; optional
	   (1.1) */
	TLSTALL_SECTION_LOOKS = TLSTALL_SECTION_COUNT,
	TLSTALL_SECTION_HISTORY, /* struct tlstall_summary: a ring; optional (1.3) */
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

/* One copy of libssl in the process. */
struct tlstall_libssl {
	uint64_t start, end;  /* mapped range */
	uint32_t version_num; /* OpenSSL_version_num() */
	uint32_t reserved;
	char version[40]; /* OpenSSL_version(0) */
};

/* Settings that can change while the process runs, by plain 32-bit stores. */
struct tlstall_control {
	uint32_t mode;	 /* enum tlstall_mode */
	uint32_t stacks; /* 0 or 1 */
	uint32_t socket; /* 0 or 1 */
	uint32_t reserved;
};

/* What happens to the trace when the last process that writes to it ends. */
enum tlstall_keep {
	TLSTALL_KEEP_ALL = 0,
	TLSTALL_KEEP_BAD = 1,  /* kept only if a handshake failed, took over a second or is unfinished */
	TLSTALL_KEEP_NONE = 2, /* removed */
};

/* What the trace leaves out on request: bits (1.3). */
enum tlstall_privacy {
	TLSTALL_PRIVACY_PEER = 1,   /* the peer's address */
	TLSTALL_PRIVACY_SNI = 2,    /* server names */
	TLSTALL_PRIVACY_STACKS = 4, /* stacks and modules */
};

/* Counts of what could not be kept. */
struct tlstall_lost {
	uint64_t handshakes_without_slot; /* all slots were in flight: only events were recorded */
	uint64_t slots_reused;		  /* ended handshakes overwritten by new ones */
	uint64_t stacks;		  /* table full, as the next three */
	uint64_t strings;
	uint64_t modules;
	uint64_t processes;
	uint64_t foreign_calls;	   /* on objects of no known libssl */
	uint64_t unwound_in_child; /* 0 since 1.3: stacks not taken in forked children */
};

struct tlstall_header {
	uint64_t magic; /* stored last, with release: the file is complete */
	uint16_t major, minor;
	uint32_t header_size; /* sizeof(struct tlstall_header) */
	uint32_t byte_order;
	uint32_t compat;       /* feature bits that a reader may ignore */
	uint32_t incompat;     /* feature bits: a reader refuses those it does not know */
	uint32_t pointer_size; /* bytes */
	uint32_t pid;	       /* of the process that made the file */
	uint32_t uid;	       /* its real user id */
	uint64_t start_time;   /* its start: field 22 of /proc/PID/stat, clock ticks since boot */

	uint32_t clock_source;		 /* enum tlstall_clock_source */
	uint32_t clock_disturbed;	 /* how often the clock jumped or changed its rate */
	struct tlstall_clock_pair first; /* when the file was made */
	uint32_t last_sequence;		 /* seqlock over `last`: odd while being written */
	uint32_t reserved0;
	struct tlstall_clock_pair last; /* at the end of a handshake or the exit */

	struct tlstall_control control;
	uint32_t bad_settings; /* TLSTALL_BAD_SETTING() bits */
	uint32_t exited;       /* 1: the first process reached its end */
	uint64_t file_size;    /* bytes */
	uint64_t exit_ticks;   /* 0: not exited */
	uint32_t forked;       /* 1: the first process has forked */
	uint32_t section_count;
	struct tlstall_section section[TLSTALL_SECTION_MAX];
	struct tlstall_lost lost;
	struct tlstall_libssl libssl[4];
	uint32_t libssl_count;
	uint32_t image; /* earlier traces of this process: exec keeps its id and start */

	char comm[16];
	char host[64];
	char boot_id[40];
	char program[256]; /* /proc/self/exe */

	/*
	 * Since 1.3. A process is identified by its pid namespace, its id there and its
	 * start: ids and clocks of different namespaces cannot be compared.
	 */
	uint64_t pid_namespace;	 /* inode of /proc/self/ns/pid, 0: unknown */
	uint64_t time_namespace; /* inode of /proc/self/ns/time, 0: unknown */
	/* what its time namespace adds to the host's CLOCK_MONOTONIC, CLOCK_BOOTTIME */
	int64_t monotonic_offset_ns, boottime_offset_ns;
	uint64_t tag;		   /* as in the file's name */
	uint32_t keep;		   /* enum tlstall_keep */
	uint32_t shared_directory; /* 1: the directory is sticky and writable by others */
	uint64_t lost_memory;	   /* chunks that could not be written: disk full */
	uint64_t lost_traces;	   /* earlier traces of this process: truncated while in use */
	uint64_t bad_handshakes; /* ended ones that failed, took over a second or were unfinished */
	uint64_t lost_bad_handshakes; /* those in slots_reused that failed or took over about a second */

	uint32_t filtered; /* 1: a seccomp filter is in force: no system calls for handshakes */
	uint32_t privacy;  /* enum tlstall_privacy: what was left out */
	/* 1: another preloaded library with functions of libssl comes before the shim (1.3) */
	uint32_t preload_before;
	uint32_t attached; /* 1: the shim was attached to the running process, see attach.h (1.3) */
	uint32_t detached; /* 1: and was detached: nothing more is written (1.3) */
	uint32_t reserved2;
	uint64_t handshakes_before; /* of those in `handshakes`, in traces that this one replaced (1.5) */
	uint8_t reserved3[880];

	/* Counters that many threads write: one cache line each. */
	TLSTALL_ALIGNED(64) uint64_t history_head; /* summaries claimed so far in the ring (1.3) */
	TLSTALL_ALIGNED(64) uint64_t opening_head; /* events claimed so far in the ring */
	TLSTALL_ALIGNED(64) uint64_t rest_head;
	TLSTALL_ALIGNED(64) uint64_t handshakes; /* number of the last one that began */
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
	TLSTALL_KIND_INTERNAL, /* a handshake that only the info callback reported */
	TLSTALL_KIND_OTHER,    /* neither drives a handshake nor moves data (1.3) */
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
	uint32_t parent; /* its process id */
	uint32_t exited; /* 1: ran its exit handlers */
	uint64_t first_ticks;
	uint64_t exit_ticks;
	uint64_t start_time; /* field 22 of /proc/PID/stat, 0: unknown */
	char comm[16];
	uint64_t pid_namespace; /* of `pid`, as in the header (1.3) */
};

struct tlstall_module {
	uint32_t commit;
	uint32_t build_id_size; /* bytes, at most 24 */
	uint64_t start, end;	/* mapped range */
	uint64_t bias;		/* address = bias + ELF virtual address */
	uint8_t build_id[24];
	char path[200];
};

/*
 * An address may belong to several modules: of plugins loaded one after the other, or of forked
 * children. A frame is of the first of them, unless the stack's module has its address. Of
 * TLSTALL_SEVERAL_MODULES it is not known which one it is of (1.4).
 */
#define TLSTALL_STACK_MODULE(hash) ((uint32_t)((hash) >> 48)) /* 1 + its index, 0: none */
#define TLSTALL_SEVERAL_MODULES 0xffff

#define TLSTALL_STACK_FRAMES 30
struct tlstall_stack {
	uint32_t commit;
	uint32_t count;			       /* frames */
	uint64_t hash;			       /* of the frames, and the module: the upper 16 bits (1.4) */
	uint64_t frames[TLSTALL_STACK_FRAMES]; /* return addresses, innermost first */
};

/* ---- events ------------------------------------------------------------ */

enum tlstall_event_type {
	TLSTALL_EVENT_CALL = 1,	     /* an op returned */
	TLSTALL_EVENT_GET_ERROR = 2, /* SSL_get_error answered */
	TLSTALL_EVENT_QUEUE = 3,     /* the next op began with errors in the queue */
	TLSTALL_EVENT_TRANSPORT = 4, /* the SSL got other BIOs */
	TLSTALL_EVENT_END = 5,	     /* a handshake ended */
};

#define TLSTALL_EV_SERVER 0x01u	  /* role */
#define TLSTALL_EV_BLOCKING 0x02u /* descriptor */
#define TLSTALL_EV_BLOCKING_KNOWN 0x04u
#define TLSTALL_EV_STALE_QUEUE 0x08u /* a QUEUE event precedes it */
#define TLSTALL_EV_FINISHED 0x10u    /* SSL_is_init_finished() at the return */
/* 0x20: reserved; was the event's TLSTALL_HS_OVERLAP, which no reader used */
#define TLSTALL_EV_CLIENT 0x40u	     /* role; neither bit: unknown */
#define TLSTALL_EV_FOREIGN 0x80u     /* object of no known libssl: not examined */

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
	uint32_t slot;	     /* index in HANDSHAKES or TLSTALL_NO_SLOT */
	uint32_t handshake;  /* low 32 bits of the number, 0: none */
	float duration;	     /* ticks; relative error below 1e-7 */
	int32_t ret;	     /* GET_ERROR: its argument; END: enum tlstall_outcome */
	uint32_t ossl_error; /* head of the error queue at exit (QUEUE: at entry) */
	uint32_t retry;	     /* ops of this handshake before this one */
	uint32_t tid;
	uint16_t process;     /* index in PROCESSES */
	uint8_t error_number; /* errno at the return */
	uint8_t flags;	      /* TLSTALL_EV_* */
	union {
		uint32_t pending_in; /* CALL: bytes in the read BIO; UINT32_MAX: unknown */
		uint32_t misuse;     /* GET_ERROR: TLSTALL_MISUSE_* */
		int32_t fd;	     /* TRANSPORT */
		uint32_t start_low;  /* END: low half of start_realtime_ns; 0: unknown (1.3) */
	};
	union {
		uint32_t pending_out; /* CALL: bytes in the write BIO; UINT32_MAX: unknown */
		uint32_t bio_name;    /* TRANSPORT: string id of the read side */
		uint32_t start_high;  /* END: its high half (1.3) */
	};
};

/* ---- what must hold ---------------------------------------------------- */

TLSTALL_ASSERT(sizeof(struct tlstall_header) == 2496);
TLSTALL_AT(tlstall_header, first, 56);
TLSTALL_AT(tlstall_header, control, 112);
TLSTALL_AT(tlstall_header, section, 160);
TLSTALL_AT(tlstall_header, lost, 416);
TLSTALL_AT(tlstall_header, libssl, 480);
TLSTALL_AT(tlstall_header, comm, 744);
TLSTALL_AT(tlstall_header, program, 864);
TLSTALL_AT(tlstall_header, pid_namespace, 1120);
TLSTALL_AT(tlstall_header, tag, 1152);
TLSTALL_AT(tlstall_header, lost_memory, 1168);
TLSTALL_AT(tlstall_header, lost_bad_handshakes, 1192);
TLSTALL_AT(tlstall_header, filtered, 1200);
TLSTALL_AT(tlstall_header, privacy, 1204);
TLSTALL_AT(tlstall_header, preload_before, 1208);
TLSTALL_AT(tlstall_header, attached, 1212);
TLSTALL_AT(tlstall_header, handshakes_before, 1224);
TLSTALL_AT(tlstall_header, reserved3, 1232);
TLSTALL_AT(tlstall_header, history_head, 2112);
TLSTALL_AT(tlstall_header, opening_head, 2176);
TLSTALL_AT(tlstall_header, function_count, 2432);
TLSTALL_ASSERT(sizeof(struct tlstall_event) == 64);
TLSTALL_AT(tlstall_event, slot, 24);
TLSTALL_AT(tlstall_event, ret, 36);
TLSTALL_AT(tlstall_event, process, 52);
TLSTALL_AT(tlstall_event, pending_in, 56);
TLSTALL_ASSERT(sizeof(struct tlstall_string) == 64);
TLSTALL_ASSERT(sizeof(struct tlstall_function) == 48);
TLSTALL_ASSERT(sizeof(struct tlstall_process) == 64);
TLSTALL_ASSERT(sizeof(struct tlstall_module) == 256);
TLSTALL_ASSERT(sizeof(struct tlstall_stack) == 256);

#endif
