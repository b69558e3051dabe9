/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of trace.h: what mode watch keeps of a quick, healthy handshake.
 * The rules for changing it are those of trace.h.
 */
#ifndef TLSTALL_SUMMARY_H
#define TLSTALL_SUMMARY_H

#include <stdint.h>

#include "tlstall/assert.h"

/*
 * A call in one word, from the lowest bit: 6 bits index in FUNCTIONS, 4 SSL_ERROR_*, 2 class
 * of the return value (0: below 0, 1: 0, 2: above), 20 the gap before it, 20 its duration,
 * 12 the state's id and flags: 8 and 4. Times are ticks as mantissa << exponent, 14 and 6
 * bits: relative error below 1e-4.
 */
#define TLSTALL_PACKED 8
#define TLSTALL_PACK_FUNCTION(p) ((uint8_t)((p)&63))
#define TLSTALL_PACK_ERROR(p) ((uint8_t)((p) >> 6 & 15))
#define TLSTALL_PACK_RET(p) ((int)((p) >> 10 & 3) - 1)
#define TLSTALL_PACK_GAP(p) TLSTALL_PACK_TICKS((p) >> 12)
#define TLSTALL_PACK_DURATION(p) TLSTALL_PACK_TICKS((p) >> 32)
#define TLSTALL_PACK_STATE(p) ((uint8_t)((p) >> 52))
#define TLSTALL_PACK_FINISHED(p) ((p) >> 60 & 1)
#define TLSTALL_PACK_TICKS(t) (((t) >> 6 & 0x3fff) << ((t)&63))

/*
 * What mode watch keeps of a quick, healthy handshake. Position p of the
 * ring with n entries lies at index p % n and is complete when `commit` is (uint32_t)(p + 1),
 * which is stored last. The kernel was not asked, so it has no addresses.
 */
struct tlstall_summary {
	uint32_t commit;
	uint32_t number; /* low 32 bits; 0: withdrawn, it is in HANDSHAKES */
	uint64_t ssl;
	uint64_t start;				       /* ticks, as the next four */
	float duration, in_call, gaps, longest_gap; /* relative error below 1e-7 */
	uint32_t tid;
	uint32_t flags; /* TLSTALL_HS_* */
	int32_t bio_type, fd;
	uint32_t bytes_in, bytes_out;
	uint16_t process;			    /* index in PROCESSES */
	uint16_t cipher, group, bio_name, bio_filter; /* string ids */
	uint16_t version;
	uint16_t calls, want_read, want_write, want_other, get_errors; /* saturate */
	uint8_t role, bio_class, write_class, last_function;
	uint8_t state, libssl, misuse, sni_cut; /* sni_cut 1: the name was too long */
	uint16_t verify_result; /* X509_V_* */
	uint64_t packed[TLSTALL_PACKED]; /* the first calls, see TLSTALL_PACK */
	char alpn[8];			 /* "" if longer */
	char sni[24];
};

TLSTALL_ASSERT(sizeof(struct tlstall_summary) == 192);
TLSTALL_AT(tlstall_summary, cipher, 66);
TLSTALL_AT(tlstall_summary, packed, 96);

#endif
