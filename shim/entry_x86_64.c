/* SPDX-License-Identifier: Apache-2.0 */
#include "entry.h"

#if defined(__x86_64__)

#include <string.h>

#include "decode_x86.h"

#define JUMP 5
#define TRAMPOLINE 16 /* bytes of the island before the trampoline */

bool entry_can(void)
{
	return true;
}

struct move {
	const uint8_t *from, *from_end; /* the code that the jump overwrites */
	uint8_t *to;
	bool ended; /* execution does not continue after the moved code */
};

static bool fits(int64_t distance)
{
	return distance == (int32_t)distance;
}

static bool put_distance(uint8_t *at, const uint8_t *from, const uint8_t *to)
{
	int64_t distance = to - from;
	int32_t narrow = (int32_t)distance;

	memcpy(at, &narrow, sizeof(narrow));
	return fits(distance);
}

/* The target of a direct branch, or of an operand relative to the instruction pointer. */
static const uint8_t *target(const uint8_t *code, const struct instruction *i)
{
	const uint8_t *end = code + i->length;
	int32_t wide;

	if (i->displacement_size == 1)
		return end + (int8_t)code[i->displacement_at];
	memcpy(&wide, code + i->displacement_at, sizeof(wide));
	return end + wide;
}

/* Turns a short branch into a long one. */
static bool move_short(struct move *m, const struct instruction *i)
{
	const uint8_t *to = target(m->from, i);

	if (i->kind == INSTRUCTION_JUMP) {
		*m->to++ = 0xe9;
	} else {
		*m->to++ = 0x0f;
		*m->to++ = (uint8_t)(0x80 | (m->from[i->displacement_at - 1] & 15));
	}
	m->to += 4;
	return put_distance(m->to - 4, m->to, to);
}

/*
 * The return address of a moved call must be the original one, not one in the trampoline, which
 * unwinders do not know. So push its lower half, store the upper half, and jump.
 */
static bool move_call(struct move *m, const struct instruction *i)
{
	static const uint8_t push[] = {0x68, 0, 0, 0, 0, 0xc7, 0x44, 0x24, 4, 0, 0, 0, 0, 0xe9};
	uintptr_t back = (uintptr_t)m->from + i->length;
	uint32_t low = (uint32_t)back, high = (uint32_t)(back >> 32);

	memcpy(m->to, push, sizeof(push));
	memcpy(m->to + 1, &low, sizeof(low));
	memcpy(m->to + 9, &high, sizeof(high));
	m->to += sizeof(push) + 4;
	return put_distance(m->to - 4, m->to, target(m->from, i));
}

static bool move_one(struct move *m, const struct instruction *i)
{
	uint8_t *to = m->to;

	if (i->kind == INSTRUCTION_CALL)
		return move_call(m, i);
	if (i->displacement_size == 1)
		return move_short(m, i);
	memcpy(to, m->from, i->length);
	m->to += i->length;
	return !i->displacement_size ||
	       put_distance(to + i->displacement_at, m->to, target(m->from, i));
}

static bool is_movable(const struct instruction *i)
{
	/* a call through a pointer has no displacement, or only that of its operand */
	bool direct = i->kind != INSTRUCTION_CALL || (i->length == 5 && i->displacement_at == 1);

	return i->length && i->kind != INSTRUCTION_LOOP && direct;
}

/* Code after this is not reached from the trampoline. */
static bool ends(const struct instruction *i)
{
	return i->kind == INSTRUCTION_JUMP || i->kind == INSTRUCTION_END ||
	       i->kind == INSTRUCTION_CALL;
}

static bool move_all(struct move *m, const uint8_t *end)
{
	const uint8_t *begin = m->from;
	struct instruction i;

	while (m->from - begin < JUMP) {
		decode_x86(m->from, &i);
		if (m->ended || !is_movable(&i) || m->from + i.length > end || !move_one(m, &i))
			return false;
		m->from += i.length;
		m->ended = ends(&i);
	}
	m->from_end = m->from;
	return true;
}

static bool is_branch(const struct instruction *i)
{
	return i->kind != INSTRUCTION_PLAIN && i->displacement_size;
}

/*
 * Whether the function branches back to the overwritten code. True as well
 * if it cannot be decoded to its end.
 */
static bool comes_back(const struct entry *entry, const uint8_t *moved_end)
{
	const uint8_t *end = entry->function + entry->size;
	struct instruction i;

	for (const uint8_t *code = entry->function; code < end; code += i.length) {
		decode_x86(code, &i);
		if (!i.length)
			return true;
		if (is_branch(&i) && target(code, &i) >= entry->at &&
		    target(code, &i) < moved_end)
			return true;
	}
	return false;
}

static void put_island(const struct entry *entry)
{
	memcpy(entry->room, "\xff\x25\0\0\0\0", 6); /* jmp *(here) */
	memcpy(entry->room + 6, &entry->wrapper, 8);
}

static bool put_jump(uint8_t *at, const uint8_t *runs_at, const uint8_t *to)
{
	at[0] = 0xe9;
	return put_distance(at + 1, runs_at + JUMP, to);
}

bool entry_make(struct entry *entry)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	struct move move = {.to = entry->room + TRAMPOLINE};

	entry->at = entry->function;
	if (entry->size >= sizeof(endbr64) && !memcmp(entry->at, endbr64, sizeof(endbr64)))
		entry->at += sizeof(endbr64);
	move.from = entry->at;
	if (!move_all(&move, entry->function + entry->size) || comes_back(entry, move.from_end))
		return false;
	if (!move.ended && !put_jump(move.to, move.to, move.from_end))
		return false;
	put_island(entry);
	entry->trampoline = entry->room + TRAMPOLINE;
	entry->jump_size = JUMP;
	return put_jump(entry->jump, entry->at, entry->room);
}

#endif
