/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder.h"

#include <string.h>
#include <sys/mman.h>

#include "mapping.h"

/*
 * Entries of a table are used one after the other: so many of them, about 32 KiB, are made
 * ready together. Not the first: a program of few handshakes needs no more than their pages.
 */
#define SLOTS_AHEAD 32
#define EVENTS_AHEAD 512

/* ---- handshake slots ------------------------------------------------------ */

/* How many slots are tried before we do without one: bounds the cost of a full table. */
#define PROBES 8

static bool take(struct tlstall_handshake *slot)
{
	uint32_t status = __atomic_load_n(&slot->status, __ATOMIC_ACQUIRE);

	return status != TLSTALL_SLOT_LIVE && status != TLSTALL_SLOT_CLAIMED &&
	       __atomic_compare_exchange_n(&slot->status, &status, TLSTALL_SLOT_CLAIMED, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static struct tlstall_handshake *take_one(struct tlstall_handshake *table, uint32_t count,
					  uint64_t *cursor)
{
	for (int i = 0; i < PROBES; i++) {
		uint64_t at = __atomic_fetch_add(cursor, 1, __ATOMIC_RELAXED);

		if (take(&table[at % count]))
			return &table[at % count];
	}
	return NULL;
}

static struct tlstall_handshake *take_mapped(void)
{
	struct tlstall_header *h = mapping.header;
	struct tlstall_handshake *slot =
		take_one(mapping.handshakes, mapping.slot_count, &h->slot_cursor);

	if (slot && slot != mapping.handshakes && (slot - mapping.handshakes) % SLOTS_AHEAD == 0)
		mapping_ahead(slot, SLOTS_AHEAD * sizeof(*slot));
	if (slot && slot->number)
		__atomic_fetch_add(&h->lost.slots_reused, 1, __ATOMIC_RELAXED);
	return slot;
}

/* Slots outside the file, for handshakes that come when all of it are in flight. */
#define PRIVATE_SLOTS 1024
static struct tlstall_handshake *private_slots(void)
{
	static struct tlstall_handshake *table;
	struct tlstall_handshake *known = __atomic_load_n(&table, __ATOMIC_ACQUIRE), *made;
	size_t size = PRIVATE_SLOTS * sizeof(*made);

	if (known)
		return known;
	made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (made == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&table, &known, made, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return made;
	munmap(made, size);
	return known;
}

static struct tlstall_handshake *take_private(void)
{
	static uint64_t cursor;
	struct tlstall_handshake *table = private_slots();

	__atomic_fetch_add(&mapping.header->lost.handshakes_without_slot, 1, __ATOMIC_RELAXED);
	return table ? take_one(table, PRIVATE_SLOTS, &cursor) : NULL;
}

struct tlstall_handshake *recorder_claim(uint64_t ticks)
{
	struct tlstall_handshake *slot = take_mapped();

	if (!slot)
		slot = take_private();
	if (!slot)
		return NULL;
	memset((char *)slot + offsetof(struct tlstall_handshake, flags), 0,
	       sizeof(*slot) - offsetof(struct tlstall_handshake, flags));
	slot->number = __atomic_add_fetch(&mapping.header->handshakes, 1, __ATOMIC_RELAXED);
	slot->start = slot->progress = ticks;
	slot->process = mapping_identity()->process;
	slot->tid = mapping_tid();
	__atomic_store_n(&slot->status, TLSTALL_SLOT_LIVE, __ATOMIC_RELEASE);
	return slot;
}

/* Status before number: nobody takes a live slot, so a live one with our number is ours. */
static bool is(const struct tlstall_handshake *slot, uint64_t number, uint32_t status)
{
	return __atomic_load_n(&slot->status, __ATOMIC_ACQUIRE) == status &&
	       __atomic_load_n(&slot->number, __ATOMIC_ACQUIRE) == number;
}

static bool change(struct tlstall_handshake *slot, uint64_t number, uint32_t from, uint32_t to)
{
	return is(slot, number, from) &&
	       __atomic_compare_exchange_n(&slot->status, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

void recorder_release(struct tlstall_handshake *slot, uint64_t number,
		      enum tlstall_slot_status status)
{
	if (!change(slot, number, TLSTALL_SLOT_LIVE, status))
		change(slot, number, TLSTALL_SLOT_LINGER, status);
}

bool recorder_retake(struct tlstall_handshake *slot, uint64_t number)
{
	if (recorder_holds(slot, number))
		return true;
	if (!change(slot, number, TLSTALL_SLOT_LINGER, TLSTALL_SLOT_LIVE))
		return false;
	/* it may have gone to another, and lingered, in between */
	if (__atomic_load_n(&slot->number, __ATOMIC_ACQUIRE) == number)
		return true;
	__atomic_store_n(&slot->status, TLSTALL_SLOT_LINGER, __ATOMIC_RELEASE);
	return false;
}

/* ---- events --------------------------------------------------------------- */

static bool in_file(const struct tlstall_handshake *slot)
{
	return slot >= mapping.handshakes && slot < mapping.handshakes + mapping.slot_count;
}

static struct tlstall_event *event_at(struct tlstall_event *ring, uint64_t at)
{
	if (at && at % EVENTS_AHEAD == 0)
		mapping_ahead(&ring[at], EVENTS_AHEAD * sizeof(*ring));
	return &ring[at];
}

struct recorder_place recorder_reserve(struct tlstall_handshake *slot, bool opening)
{
	struct tlstall_header *h = mapping.header;
	struct recorder_place place;
	uint64_t position;

	if (slot) {
		opening |= slot->events < TLSTALL_OPENING;
		slot->events = (uint8_t)(slot->events + (slot->events < UINT8_MAX));
	}
	position =
		__atomic_fetch_add(opening ? &h->opening_head : &h->rest_head, 1, __ATOMIC_RELAXED);
	place.commit = (uint32_t)(position + 1);
	place.event = opening ? event_at(mapping.opening, position & mapping.opening_mask)
			      : event_at(mapping.rest, position & mapping.rest_mask);
	__atomic_store_n(&place.event->commit, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	place.event->slot =
		slot && in_file(slot) ? (uint32_t)(slot - mapping.handshakes) : TLSTALL_NO_SLOT;
	place.event->handshake = slot ? (uint32_t)slot->number : 0;
	place.event->tid = mapping_tid();
	place.event->process = mapping_identity()->process;
	return place;
}

/* ---- texts ---------------------------------------------------------------- */

/* Looks a text up, or appends it: a copy of our own per process avoids reading half-written ones.
 */
static uint32_t intern(struct tlstall_string *table, uint32_t room, uint32_t *count,
		       const char *text)
{
	uint32_t n = __atomic_load_n(count, __ATOMIC_ACQUIRE);
	uint32_t index;

	for (uint32_t i = 1; i < n && i < room; i++) {
		if (__atomic_load_n(&table[i].commit, __ATOMIC_ACQUIRE) &&
		    !strncmp(table[i].text, text, sizeof(table[i].text) - 1))
			return i;
	}
	if (n >= room)
		goto lost;
	index = __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	if (index >= room)
		goto lost;
	strncpy(table[index].text, text, sizeof(table[index].text) - 1);
	__atomic_store_n(&table[index].commit, 1, __ATOMIC_RELEASE);
	return index;
lost:
	__atomic_fetch_add(&mapping.header->lost.strings, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Texts of OpenSSL are constants: remember what an address gave last time. */
struct known_text {
	const char *text;
	uint32_t id;
};

static uint32_t lookup(struct known_text *cache, uint32_t cache_mask, struct tlstall_string *table,
		       uint32_t room, uint32_t *count, const char *text)
{
	struct known_text *known = &cache[((uintptr_t)text >> 3) & cache_mask];
	uint32_t id = __atomic_load_n(&known->id, __ATOMIC_ACQUIRE);

	/* a custom BIO's name may be freed and its address used again: compare the text too */
	if (id && known->text == text && !strncmp(table[id].text, text, sizeof(table[id].text) - 1))
		return id;
	id = intern(table, room, count, text);
	__atomic_store_n(&known->id, 0, __ATOMIC_RELEASE);
	known->text = text;
	__atomic_store_n(&known->id, id, __ATOMIC_RELEASE);
	return id;
}

uint8_t recorder_state(const char *text)
{
	static struct known_text cache[256];

	if (!text)
		return 0;
	return (uint8_t)lookup(cache, 255, mapping.states, 255, &mapping.header->state_count, text);
}

uint16_t recorder_string(const char *text)
{
	static struct known_text cache[128];

	if (!text || !*text)
		return 0;
	return (uint16_t)lookup(cache, 127, mapping.strings,
				mapping.header->section[TLSTALL_SECTION_STRINGS].count,
				&mapping.header->string_count, text);
}

/* ---- stacks --------------------------------------------------------------- */

static uint64_t hash_frames(void *const *frames, int count)
{
	uint64_t hash = 14695981039346656037ull; /* FNV-1a, a word at a time */

	for (int i = 0; i < count; i++)
		hash = (hash ^ (uintptr_t)frames[i]) * 1099511628211ull;
	return hash | 1;
}

uint32_t recorder_stack(void *const *frames, int count, void (*before)(void))
{
	struct tlstall_header *h = mapping.header;
	uint32_t room = h->section[TLSTALL_SECTION_STACKS].count;
	bool announced = false;
	uint64_t hash;

	if (count > TLSTALL_STACK_FRAMES)
		count = TLSTALL_STACK_FRAMES;
	if (count <= 0)
		return 0;
	hash = hash_frames(frames, count);
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t id = 1 + (uint32_t)((hash + i) % (room - 1));
		struct tlstall_stack *stack = &mapping.stacks[id];
		uint64_t empty = 0;

		if (__atomic_load_n(&stack->hash, __ATOMIC_ACQUIRE) == hash)
			return id;
		if (!announced)
			before();
		announced = true;
		if (!__atomic_compare_exchange_n(&stack->hash, &empty, hash, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			continue;
		stack->count = (uint32_t)count;
		for (int f = 0; f < count; f++)
			stack->frames[f] = (uintptr_t)frames[f];
		__atomic_fetch_add(&h->stack_count, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&stack->commit, 1, __ATOMIC_RELEASE);
		return id;
	}
	__atomic_fetch_add(&h->lost.stacks, 1, __ATOMIC_RELAXED);
	return 0;
}

void recorder_libssl(uint8_t id, uintptr_t start, uintptr_t size, uint32_t version,
		     const char *text)
{
	struct tlstall_header *h = mapping.header;
	struct tlstall_libssl *entry = &h->libssl[id];

	if (id >= sizeof(h->libssl) / sizeof(h->libssl[0]) || entry->start == start)
		return;
	entry->end = start + size;
	entry->version_num = version;
	strncpy(entry->version, text, sizeof(entry->version) - 1);
	entry->start = start;
	if (h->libssl_count <= id)
		h->libssl_count = id + 1u;
}
