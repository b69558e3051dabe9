/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way into the trace file. Nothing here blocks, allocates or formats; what does not fit is
 * counted in the header's `lost`.
 */
#ifndef SHIM_RECORDER_H
#define SHIM_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "tlstall/trace.h"

/* Claims a slot of the file, or of a small private table if all are in flight; NULL: neither. */
struct tlstall_handshake *recorder_claim(uint64_t ticks);
/*
 * The slot's contents are no longer needed: this thread's next claim
 * reuses it while it is in the cache.
 */
void recorder_give_back(struct tlstall_handshake *slot);
/*
 * LINGER if its SSL object still exists and may add to it, DONE if not. Does nothing if the slot
 * was reused.
 */
void recorder_release(struct tlstall_handshake *slot, uint64_t number,
		      enum tlstall_slot_status status);
/* Whether that handshake uses it. A live slot is never taken: check status before number. */
static inline bool recorder_holds(const struct tlstall_handshake *slot, uint64_t number)
{
	return __atomic_load_n(&slot->status, __ATOMIC_ACQUIRE) == TLSTALL_SLOT_LIVE &&
	       __atomic_load_n(&slot->number, __ATOMIC_ACQUIRE) == number;
}

/* Reopens a lingering slot for another entry; false if it was reused. */
bool recorder_retake(struct tlstall_handshake *slot, uint64_t number);

/*
 * The next place in a ring: in the opening ring if requested or while the handshake is young.
 * Slot, handshake, tid and process are filled in; the caller fills in the rest, and commits.
 */
struct recorder_place {
	struct tlstall_event *event;
	uint32_t commit;
};
struct recorder_place recorder_reserve(struct tlstall_handshake *slot, bool opening);

static inline void recorder_commit(struct recorder_place place)
{
	__atomic_store_n(&place.event->commit, place.commit, __ATOMIC_RELEASE);
}

/* Ids of texts, equal for equal texts; 0: no room, or text is NULL. */
uint8_t recorder_state(const char *text);
uint16_t recorder_string(const char *text);
/* `module`: of struct tlstall_stack. */
uint32_t recorder_stack(void *const *frames, int count, uint16_t module);

/* Notes a libssl copy in the header, once in each file. */
bool recorder_knows_libssl(uint8_t id, uintptr_t start);
void recorder_libssl(uint8_t id, uintptr_t start, uintptr_t size, uint32_t version,
		     const char *text);
/* Another file has replaced a lost one. */
void recorder_forget(void);
/* Forked children have its memory, whatever the program has said: see stay.c. */
void recorder_stay(void);

#endif
