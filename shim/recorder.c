/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder.h"

#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "mapping.h"
#include "summary.h"
#include "system.h"
#include "tlstall/vocabulary.h"

/*
 * Table entries are used in order, and so many of them, about 32 KiB, are prepared together. Not
 * the first: a program with few handshakes needs only the pages of those.
 */
#define SLOTS_AHEAD 32
#define EVENTS_AHEAD 512

/* ---- handshake slots ------------------------------------------------------ */

/*
 * How many slots are tried before one is taken outside the file: bounds the cost of a full table.
 */
#define PROBES 16
#define SLOW_US 1000000

/*
 * Failed and slow handshakes are kept longest. Successes are overwritten first, then connections
 * to a server that sent nothing; the oldest of each first.
 */
enum worth { WORTH_LITTLE, WORTH_MORE, WORTH_MOST };

static enum worth worth_of(const struct tlstall_handshake *slot)
{
	bool refused = slot->flags & TLSTALL_HS_FIRST_READ &&
		       slot->first_read_error == TLSTALL_ERROR_SSL;

	if (slot->end - slot->start > clock_rough_ticks(SLOW_US) || refused)
		return WORTH_MOST;
	if (slot->outcome == TLSTALL_OUTCOME_OK)
		return WORTH_LITTLE;
	return slot->role == TLSTALL_ROLE_SERVER && !slot->bytes_in ? WORTH_MORE : WORTH_MOST;
}

static bool is_over(const struct tlstall_handshake *slot)
{
	uint32_t status = __atomic_load_n(&slot->status, __ATOMIC_ACQUIRE);

	return status == TLSTALL_SLOT_LINGER || status == TLSTALL_SLOT_DONE;
}

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
	struct tlstall_handshake *best = NULL;
	enum worth least = WORTH_MOST + 1;

	for (int i = 0; i < PROBES; i++) {
		uint64_t at = __atomic_fetch_add(cursor, 1, __ATOMIC_RELAXED);
		struct tlstall_handshake *slot = &table[at % count];
		enum worth worth = slot->number && is_over(slot) ? worth_of(slot) : WORTH_LITTLE;

		if (worth == WORTH_LITTLE && take(slot))
			return slot;
		if (worth != WORTH_LITTLE && worth < least) {
			least = worth;
			best = slot;
		}
	}
	return best && take(best) ? best : NULL;
}

static struct tlstall_handshake *take_mapped(void)
{
	struct tlstall_header *h = mapping.header;
	struct tlstall_handshake *slot =
		take_one(mapping.handshakes, mapping.slot_count, &h->slot_cursor);

	if (slot && slot != mapping.handshakes && (slot - mapping.handshakes) % SLOTS_AHEAD == 0)
		mapping_ahead(slot, SLOTS_AHEAD * sizeof(*slot));
	if (slot && slot->number && summary_is_enough(slot)) {
		summary_write(slot);
	} else if (slot && slot->number) {
		__atomic_fetch_add(&h->lost.slots_reused, 1, __ATOMIC_RELAXED);
		if (worth_of(slot) == WORTH_MOST)
			__atomic_fetch_add(&h->lost_bad_handshakes, 1, __ATOMIC_RELAXED);
	}
	return slot;
}

/* Slots outside the file, for handshakes that begin when all slots of the file are in flight. */
#define PRIVATE_SLOTS 1024
static struct tlstall_handshake *private_table;

static struct tlstall_handshake *private_slots(void)
{
	struct tlstall_handshake *known = __atomic_load_n(&private_table, __ATOMIC_ACQUIRE), *made;
	size_t size = PRIVATE_SLOTS * sizeof(*made);

	if (known)
		return known;
	made = system_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (made == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&private_table, &known, made, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return made;
	system_munmap(made, size);
	return known;
}

void recorder_stay(void)
{
	struct tlstall_handshake *table = __atomic_load_n(&private_table, __ATOMIC_ACQUIRE);

	if (table)
		system_madvise(table, PRIVATE_SLOTS * sizeof(*table), MADV_DOFORK);
}

static struct tlstall_handshake *take_private(void)
{
	static uint64_t cursor;
	struct tlstall_handshake *table = private_slots();

	__atomic_fetch_add(&mapping.header->lost.handshakes_without_slot, 1, __ATOMIC_RELAXED);
	return table ? take_one(table, PRIVATE_SLOTS, &cursor) : NULL;
}

static bool in_file(const struct tlstall_handshake *slot)
{
	return slot >= mapping.handshakes && slot < mapping.handshakes + mapping.slot_count;
}

/* Slots of the file that this thread gave back, the newest last. */
#define SPARE 8
static __thread struct {
	struct tlstall_handshake *slots[SPARE];
	unsigned count;
	uint32_t generation; /* in a later file, nobody has claimed them */
} spare;

static uint32_t generation(void)
{
	return __atomic_load_n(&mapping.generation, __ATOMIC_RELAXED);
}

void recorder_give_back(struct tlstall_handshake *slot)
{
	__atomic_store_n(&slot->number, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->status, TLSTALL_SLOT_FREE, __ATOMIC_RELEASE);
	if (spare.generation != generation()) {
		spare.generation = generation();
		spare.count = 0;
	}
	if (in_file(slot) && spare.count < SPARE)
		spare.slots[spare.count++] = slot;
}

/* Another thread may have taken them meanwhile. */
static struct tlstall_handshake *take_spare(void)
{
	while (spare.count && spare.generation == generation()) {
		struct tlstall_handshake *slot = spare.slots[--spare.count];

		if (!__atomic_load_n(&slot->number, __ATOMIC_RELAXED) &&
		    take(slot))
			return slot;
	}
	return NULL;
}

struct tlstall_handshake *recorder_claim(uint64_t ticks)
{
	struct tlstall_handshake *slot = take_spare();

	if (!slot)
		slot = take_mapped();
	if (!slot)
		slot = take_private();
	if (!slot)
		return NULL;
	memset((char *)slot + offsetof(struct tlstall_handshake, flags), 0,
	       sizeof(*slot) - offsetof(struct tlstall_handshake, flags));
	slot->number = __atomic_add_fetch(&mapping.header->handshakes, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&mapping.last_number, slot->number, __ATOMIC_RELAXED);
	slot->start = slot->progress = ticks;
	slot->start_realtime_ns = clock_realtime_ns();
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
	/* meanwhile, another handshake may have taken and released it */
	if (__atomic_load_n(&slot->number, __ATOMIC_ACQUIRE) == number)
		return true;
	__atomic_store_n(&slot->status, TLSTALL_SLOT_LINGER, __ATOMIC_RELEASE);
	return false;
}

/* ---- events --------------------------------------------------------------- */

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

/* Finds a text or appends it. Uncommitted texts are skipped, so a text may be there twice. */
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

/* OpenSSL's texts are constants: remembers the id for an address. */
struct known_text {
	const char *text;
	uint32_t id;
};

static uint32_t lookup(struct known_text *cache, uint32_t cache_mask, struct tlstall_string *table,
		       uint32_t room, uint32_t *count, const char *text)
{
	struct known_text *known = &cache[((uintptr_t)text >> 3) & cache_mask];
	uint32_t id = __atomic_load_n(&known->id, __ATOMIC_ACQUIRE);

	/* a custom BIO's name may be freed and its address reused: compare the text too */
	if (id && __atomic_load_n(&known->text, __ATOMIC_RELAXED) == text &&
	    !strncmp(table[id].text, text, sizeof(table[id].text) - 1))
		return id;
	id = intern(table, room, count, text);
	__atomic_store_n(&known->id, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&known->text, text, __ATOMIC_RELAXED);
	__atomic_store_n(&known->id, id, __ATOMIC_RELEASE);
	return id;
}

uint8_t recorder_state(const char *text)
{
	static struct known_text cache[64];

	if (!text)
		return 0;
	return (uint8_t)lookup(cache, 63, mapping.states, 255, &mapping.header->state_count, text);
}

uint16_t recorder_string(const char *text)
{
	static struct known_text cache[128];

	if (!text || !*text)
		return 0;
	return (uint16_t)lookup(cache, 127, mapping.strings,
				mapping.string_room, &mapping.header->string_count, text);
}

/* ---- stacks --------------------------------------------------------------- */

/* The upper 16 bits are the module. */
static uint64_t hash_frames(void *const *frames, int count, uint16_t module)
{
	uint64_t hash = 14695981039346656037ull; /* FNV-1a, a word at a time */

	for (int i = 0; i < count; i++)
		hash = (hash ^ (uintptr_t)frames[i]) * 1099511628211ull;
	return (hash ^ hash >> 48) << 16 >> 16 | 1 | (uint64_t)module << 48;
}

uint32_t recorder_stack(void *const *frames, int count, uint16_t module)
{
	struct tlstall_header *h = mapping.header;
	uint32_t room = mapping.stack_room;
	uint64_t hash;

	if (count > TLSTALL_STACK_FRAMES)
		count = TLSTALL_STACK_FRAMES;
	if (count <= 0)
		return 0;
	hash = hash_frames(frames, count, module);
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t id = 1 + (uint32_t)((hash + i) % (room - 1));
		struct tlstall_stack *stack = &mapping.stacks[id];
		uint64_t empty = 0;

		if (__atomic_load_n(&stack->hash, __ATOMIC_ACQUIRE) == hash)
			return id;
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

#define COPIES (sizeof(((struct tlstall_header *)0)->libssl) / sizeof(struct tlstall_libssl))

static uintptr_t noted[COPIES];

void recorder_forget(void)
{
	for (size_t i = 0; i < COPIES; i++)
		__atomic_store_n(&noted[i], 0, __ATOMIC_RELAXED);
}

bool recorder_knows_libssl(uint8_t id, uintptr_t start)
{
	return id >= COPIES || __atomic_load_n(&noted[id], __ATOMIC_RELAXED) == start;
}

void recorder_libssl(uint8_t id, uintptr_t start, uintptr_t size, uint32_t version,
		     const char *text)
{
	struct tlstall_header *h = mapping.header;
	struct tlstall_libssl *entry;
	uint32_t count = id;

	if (recorder_knows_libssl(id, start) ||
	    __atomic_exchange_n(&noted[id], start, __ATOMIC_RELAXED) == start)
		return;
	entry = &h->libssl[id];
	entry->end = start + size;
	entry->version_num = version;
	strncpy(entry->version, text, sizeof(entry->version) - 1);
	entry->start = start;
	while (count <= id && !__atomic_compare_exchange_n(&h->libssl_count, &count, id + 1u, false,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}
