/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi_run.h"

#include <string.h>

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
	const struct cfi_entries *entries;
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

	cfi_skip(code, cfi_uleb(code));
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
		m->location = cfi_encoded(code, m->entries->encoding);
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
	uint8_t op = cfi_byte(code);
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

bool cfi_run(const struct cfi_table *table, const struct cfi_entries *e, uintptr_t pc,
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
