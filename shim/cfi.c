/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi.h"

#include <string.h>

/* ---- bytes -------------------------------------------------------------------------- */

uint64_t cfi_bytes(struct cfi_reader *reader, unsigned size)
{
	uint64_t value = 0;

	if (reader->bad || reader->end - reader->at < size) {
		reader->bad = true;
		return 0;
	}
	memcpy(&value, (const void *)reader->at, size);
	reader->at += size;
	return value;
}

static uint8_t byte(struct cfi_reader *reader)
{
	return (uint8_t)cfi_bytes(reader, 1);
}

static uint64_t leb(struct cfi_reader *reader, bool is_signed)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = byte(reader);
		if (shift < 64)
			value |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (is_signed && shift < 64 && (b & 0x40))
		value |= ~0ull << shift;
	return value;
}

uint64_t cfi_uleb(struct cfi_reader *reader)
{
	return leb(reader, false);
}

int64_t cfi_sleb(struct cfi_reader *reader)
{
	return (int64_t)leb(reader, true);
}

static void skip(struct cfi_reader *reader, uint64_t size)
{
	if (reader->bad || reader->end - reader->at < size)
		reader->bad = true;
	else
		reader->at += size;
}

static struct cfi_reader reader_at(const struct cfi_table *table, uintptr_t at)
{
	return (struct cfi_reader){at, table->high, at < table->low || at > table->high};
}

/* A reader of the next `size` bytes only. */
static struct cfi_reader part(struct cfi_reader *reader, uint64_t size)
{
	struct cfi_reader out = *reader;

	skip(reader, size);
	out.end = reader->at;
	out.bad = reader->bad;
	return out;
}

/* DW_EH_PE_*: pointer encodings. */
enum { ABSOLUTE = 0x00, UDATA2 = 0x02, UDATA4 = 0x03, UDATA8 = 0x04, FORMAT = 0x0f, SIGNED = 0x08,
       RELATIVE_TO_ITSELF = 0x10, APPLICATION = 0x70, INDIRECT = 0x80, OMITTED = 0xff,
       TABLE = 0x3b /* relative to the header, four bytes, signed */ };

static uint64_t encoded(struct cfi_reader *reader, uint8_t encoding)
{
	uintptr_t at = reader->at;
	uint64_t value;

	switch (encoding & FORMAT) {
	case ABSOLUTE:
	case UDATA8:
	case UDATA8 | SIGNED:
		value = cfi_bytes(reader, 8);
		break;
	case UDATA4:
		value = cfi_bytes(reader, 4);
		break;
	case UDATA4 | SIGNED:
		value = (uint64_t)(int32_t)cfi_bytes(reader, 4);
		break;
	case UDATA2:
		value = cfi_bytes(reader, 2);
		break;
	case UDATA2 | SIGNED:
		value = (uint64_t)(int16_t)cfi_bytes(reader, 2);
		break;
	default:
		reader->bad = true;
		return 0;
	}
	return (encoding & APPLICATION) == RELATIVE_TO_ITSELF ? value + at : value;
}

/* An entry of .eh_frame, from after its length to its end. */
static struct cfi_reader entry_at(const struct cfi_table *table, uintptr_t at)
{
	struct cfi_reader reader = reader_at(table, at);
	uint64_t length = cfi_bytes(&reader, 4);

	return part(&reader, length ? length : UINT64_MAX);
}

struct cfi_reader cfi_expression(const struct cfi_table *table, int32_t value)
{
	struct cfi_reader reader = reader_at(table, table->low + (uint32_t)value);
	uint64_t length = cfi_uleb(&reader);

	return part(&reader, length);
}

/* ---- the entries of a function --------------------------------------------------------- */

struct entries {
	struct cfi_reader initial, code; /* instructions of the CIE and the FDE */
	uintptr_t begin;		 /* of the function */
	uint64_t code_align;
	int64_t data_align;
	uint8_t encoding;
	bool augmented, signal;
};

static void read_augmentation(struct entries *e, struct cfi_reader *cie, const char *letters)
{
	struct cfi_reader data = part(cie, cfi_uleb(cie));

	for (; *letters; letters++) {
		uint8_t personality;

		switch (*letters) {
		case 'R':
			e->encoding = byte(&data);
			break;
		case 'L':
			byte(&data);
			break;
		case 'P':
			personality = byte(&data);
			encoded(&data, personality);
			break;
		case 'S':
			e->signal = true;
			break;
		default: /* 'B' and 'G' of arm64 have no data; what follows an unknown
			    letter cannot be read */
			break;
		}
	}
	cie->bad |= data.bad;
}

#define LETTERS 8

static bool read_letters(struct cfi_reader *cie, char letters[LETTERS])
{
	for (int i = 0; i < LETTERS; i++) {
		letters[i] = (char)byte(cie);
		if (!letters[i])
			return !cie->bad;
	}
	return false;
}

static bool read_cie(const struct cfi_table *table, uintptr_t at, struct entries *e)
{
	struct cfi_reader cie = entry_at(table, at);
	char letters[LETTERS];
	uint8_t version;
	uint64_t column;

	if (cfi_bytes(&cie, 4))
		return false;
	version = byte(&cie);
	if ((version != 1 && version != 3) || !read_letters(&cie, letters))
		return false;
	e->code_align = cfi_uleb(&cie);
	e->data_align = cfi_sleb(&cie);
	column = version == 1 ? byte(&cie) : cfi_uleb(&cie);
	e->augmented = letters[0] == 'z';
	if (e->augmented)
		read_augmentation(e, &cie, letters + 1);
	e->initial = cie;
	return !cie.bad && column == CFI_RETURN && (e->augmented || !letters[0]) &&
	       !(e->encoding & INDIRECT);
}

static bool read_fde(const struct cfi_table *table, uintptr_t at, uintptr_t pc, struct entries *e)
{
	struct cfi_reader fde = entry_at(table, at);
	uintptr_t back = fde.at;
	uint64_t distance = cfi_bytes(&fde, 4);
	uint64_t size;

	*e = (struct entries){.encoding = ABSOLUTE};
	if (fde.bad || !distance || !read_cie(table, back - distance, e))
		return false;
	e->begin = encoded(&fde, e->encoding);
	size = encoded(&fde, e->encoding & FORMAT);
	if (e->augmented)
		skip(&fde, cfi_uleb(&fde));
	e->code = fde;
	return !fde.bad && pc - e->begin < size;
}

/* ---- the search table ------------------------------------------------------------------- */

static int64_t table_word(uintptr_t table, uint64_t index, unsigned column)
{
	int32_t word;

	memcpy(&word, (const void *)(table + index * 8 + column * 4), sizeof(word));
	return word;
}

/* The last FDE that begins at or before pc; 0: none. */
static uintptr_t find_fde(const struct cfi_table *table, uintptr_t pc)
{
	struct cfi_reader reader = reader_at(table, table->header);
	uint8_t version = byte(&reader), frame_encoding = byte(&reader);
	uint8_t count_encoding = byte(&reader), table_encoding = byte(&reader);
	int64_t distance = (int64_t)(pc - table->header);
	uint64_t low = 0, high;

	encoded(&reader, frame_encoding);
	high = encoded(&reader, count_encoding);
	if (reader.bad || version != 1 || count_encoding == OMITTED || table_encoding != TABLE ||
	    high > (reader.end - reader.at) / 8)
		return 0;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (table_word(reader.at, middle, 0) <= distance)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? table->header + (uintptr_t)table_word(reader.at, low - 1, 1) : 0;
}

/* ---- instructions -------------------------------------------------------------------------- */

enum {
	ADVANCE = 0x40, OFFSET = 0x80, RESTORE = 0xc0, /* operand in the lower six bits */
	NOP = 0x00, SET_LOC, ADVANCE1, ADVANCE2, ADVANCE4, OFFSET_EXTENDED, RESTORE_EXTENDED,
	UNDEFINED, SAME_VALUE, REGISTER, REMEMBER, RESTORE_STATE, DEF_CFA, DEF_CFA_REGISTER,
	DEF_CFA_OFFSET, DEF_CFA_EXPRESSION, EXPRESSION, OFFSET_EXTENDED_SF, DEF_CFA_SF,
	DEF_CFA_OFFSET_SF, VAL_OFFSET, VAL_OFFSET_SF, VAL_EXPRESSION,
	NEGATE_RA_STATE = 0x2d, ARGS_SIZE = 0x2e, NEGATIVE_OFFSET = 0x2f,
};

/* Compilers remember one row, hand-written assembly more. */
#define REMEMBERED 4

struct machine {
	const struct cfi_table *table;
	const struct entries *entries;
	struct cfi_row row, initial, remembered[REMEMBERED];
	unsigned depth;
	uintptr_t location, pc;
	bool bad;
};

static int32_t narrow(struct machine *m, int64_t value)
{
	m->bad |= value != (int32_t)value;
	return (int32_t)value;
}

static void set(struct machine *m, uint64_t reg, enum cfi_where where, int64_t value)
{
	if (reg < CFI_REGISTERS)
		m->row.reg[reg] = (struct cfi_rule){where, narrow(m, value)};
}

static void define_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
	m->bad |= reg >= CFI_REGISTERS;
	m->row.cfa = (struct cfi_rule){CFI_IN, (int32_t)reg};
	m->row.offset = narrow(m, offset);
}

static int64_t scaled(struct machine *m, int64_t value)
{
	int64_t out;

	m->bad |= __builtin_mul_overflow(value, m->entries->data_align, &out);
	return out;
}

/* Skips the block; its position is the value. */
static int64_t block(struct machine *m, struct cfi_reader *code)
{
	int64_t at = (int64_t)(code->at - m->table->low);

	skip(code, cfi_uleb(code));
	return at;
}

static void restore(struct machine *m, uint64_t reg)
{
	if (reg < CFI_REGISTERS)
		m->row.reg[reg] = m->initial.reg[reg];
}

static void remember_or_restore(struct machine *m, uint8_t op)
{
	if (op == REMEMBER && m->depth < REMEMBERED)
		m->remembered[m->depth++] = m->row;
	else if (op == RESTORE_STATE && m->depth)
		m->row = m->remembered[--m->depth];
	else
		m->bad = true;
}

static void advance(struct machine *m, uint64_t delta)
{
	m->bad |= __builtin_mul_overflow(delta, m->entries->code_align, &delta) ||
		  __builtin_add_overflow(m->location, delta, &m->location);
}

static void run_cfa(struct machine *m, struct cfi_reader *code, uint8_t op)
{
	uint64_t reg = (uint64_t)m->row.cfa.value;

	switch (op) {
	case DEF_CFA:
		reg = cfi_uleb(code);
		define_cfa(m, reg, (int64_t)cfi_uleb(code));
		break;
	case DEF_CFA_SF:
		reg = cfi_uleb(code);
		define_cfa(m, reg, scaled(m, cfi_sleb(code)));
		break;
	case DEF_CFA_REGISTER:
		define_cfa(m, cfi_uleb(code), m->row.offset);
		break;
	case DEF_CFA_OFFSET:
		m->row.offset = narrow(m, (int64_t)cfi_uleb(code));
		break;
	case DEF_CFA_OFFSET_SF:
		m->row.offset = narrow(m, scaled(m, cfi_sleb(code)));
		break;
	default:
		m->row.cfa = (struct cfi_rule){CFI_IS_RESULT, narrow(m, block(m, code))};
	}
}

static void run_register(struct machine *m, struct cfi_reader *code, uint8_t op)
{
	uint64_t reg = cfi_uleb(code);

	switch (op) {
	case OFFSET_EXTENDED:
		set(m, reg, CFI_AT, scaled(m, (int64_t)cfi_uleb(code)));
		break;
	case NEGATIVE_OFFSET:
		set(m, reg, CFI_AT, scaled(m, (int64_t)(0 - cfi_uleb(code))));
		break;
	case OFFSET_EXTENDED_SF:
		set(m, reg, CFI_AT, scaled(m, cfi_sleb(code)));
		break;
	case VAL_OFFSET:
		set(m, reg, CFI_IS, scaled(m, (int64_t)cfi_uleb(code)));
		break;
	case VAL_OFFSET_SF:
		set(m, reg, CFI_IS, scaled(m, cfi_sleb(code)));
		break;
	case REGISTER:
		set(m, reg, CFI_IN, (int64_t)cfi_uleb(code));
		break;
	case EXPRESSION:
		set(m, reg, CFI_AT_RESULT, block(m, code));
		break;
	case VAL_EXPRESSION:
		set(m, reg, CFI_IS_RESULT, block(m, code));
		break;
	case UNDEFINED:
		set(m, reg, CFI_UNDEFINED, 0);
		break;
	case SAME_VALUE:
		set(m, reg, CFI_SAME, 0);
		break;
	default:
		restore(m, reg);
	}
}

static void run_extended(struct machine *m, struct cfi_reader *code, uint8_t op)
{
	switch (op) {
	case NOP:
	case NEGATE_RA_STATE: /* signed return addresses are stripped in any case */
		break;
	case ARGS_SIZE:
		cfi_uleb(code);
		break;
	case SET_LOC:
		m->location = encoded(code, m->entries->encoding);
		break;
	case ADVANCE1:
	case ADVANCE2:
	case ADVANCE4:
		advance(m, cfi_bytes(code, 1u << (op - ADVANCE1)));
		break;
	case REMEMBER:
	case RESTORE_STATE:
		remember_or_restore(m, op);
		break;
	case DEF_CFA:
	case DEF_CFA_SF:
	case DEF_CFA_REGISTER:
	case DEF_CFA_OFFSET:
	case DEF_CFA_OFFSET_SF:
	case DEF_CFA_EXPRESSION:
		run_cfa(m, code, op);
		break;
	case OFFSET_EXTENDED:
	case RESTORE_EXTENDED:
	case UNDEFINED:
	case SAME_VALUE:
	case REGISTER:
	case EXPRESSION:
	case OFFSET_EXTENDED_SF:
	case VAL_OFFSET:
	case VAL_OFFSET_SF:
	case VAL_EXPRESSION:
	case NEGATIVE_OFFSET:
		run_register(m, code, op);
		break;
	default:
		m->bad = true;
	}
}

static void run_one(struct machine *m, struct cfi_reader *code)
{
	uint8_t op = byte(code);
	uint64_t operand = op & 0x3f;

	switch (op & 0xc0) {
	case ADVANCE:
		advance(m, operand);
		break;
	case OFFSET:
		set(m, operand, CFI_AT, scaled(m, (int64_t)cfi_uleb(code)));
		break;
	case RESTORE:
		restore(m, operand);
		break;
	default:
		run_extended(m, code, op);
	}
}

/* More than any function has; bounds the cost of damaged tables. */
#define INSTRUCTIONS 20000

static bool run(struct machine *m, struct cfi_reader code)
{
	for (int i = 0; m->location <= m->pc && code.at < code.end; i++) {
		run_one(m, &code);
		if (m->bad || code.bad || i > INSTRUCTIONS)
			return false;
	}
	return true;
}

/* Not inlined: struct machine is large, and a thread's stack may be small. */
static __attribute__((noinline)) bool run_entries(const struct cfi_table *table,
						  const struct entries *e, uintptr_t pc,
						  struct cfi_frame *out)
{
	struct machine m;

	m.table = table;
	m.entries = e;
	m.depth = 0;
	m.bad = false;
	m.pc = pc;
	m.location = 0;
	memset(&m.row, 0, sizeof(m.row));
	m.row.cfa.where = CFI_UNDEFINED;
	if (!run(&m, e->initial))
		return false;
	m.initial = m.row;
	m.location = e->begin;
	if (!run(&m, e->code))
		return false;
	out->row = m.row;
	out->signal = e->signal;
	return out->row.cfa.where != CFI_UNDEFINED;
}

bool cfi_find(const struct cfi_table *table, uintptr_t pc, struct cfi_frame *out)
{
	struct entries entries;
	uintptr_t fde = find_fde(table, pc);

	return fde && read_fde(table, fde, pc, &entries) && run_entries(table, &entries, pc, out);
}
