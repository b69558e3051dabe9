/* SPDX-License-Identifier: Apache-2.0 */
/* DWARF expressions, as far as call frame information uses them. */
#include "unwind.h"

#define DEPTH 16
#define STEPS 200

struct machine {
	const struct unwind *frame;
	struct readable *range;
	struct cfi_reader code;
	uint64_t stack[DEPTH];
	unsigned depth;
	bool bad;
};

enum {
	ADDR = 0x03, DEREF = 0x06, CONST1U = 0x08, CONST1S, CONST2U, CONST2S, CONST4U, CONST4S,
	CONST8U, CONST8S, CONSTU, CONSTS, DUP, DROP, OVER, PICK, SWAP, ROT, ABS = 0x19, AND, DIV,
	MINUS, MOD, MUL, NEG, NOT, OR, PLUS, PLUS_UCONST, SHL, SHR, SHRA, XOR, BRA, EQ, GE, GT, LE,
	LT, NE, SKIP, LIT0 = 0x30, LIT31 = 0x4f, BREG0 = 0x70, BREG31 = 0x8f, BREGX = 0x92,
	NOP = 0x96,
};

static void push(struct machine *m, uint64_t value)
{
	if (m->depth == DEPTH)
		m->bad = true;
	else
		m->stack[m->depth++] = value;
}

static uint64_t pop(struct machine *m)
{
	if (!m->depth) {
		m->bad = true;
		return 0;
	}
	return m->stack[--m->depth];
}

static void pick(struct machine *m, unsigned from_top)
{
	if (from_top >= m->depth)
		m->bad = true;
	else
		push(m, m->stack[m->depth - 1 - from_top]);
}

static void push_register(struct machine *m, uint64_t reg)
{
	uint64_t offset = (uint64_t)cfi_sleb(&m->code);

	if (reg >= CFI_REGISTERS || !(m->frame->known >> reg & 1))
		m->bad = true;
	else
		push(m, m->frame->reg[reg] + offset);
}

static void push_constant(struct machine *m, uint8_t op)
{
	unsigned size = 1u << ((op - CONST1U) / 2), unused = 64 - 8 * size;
	uint64_t value = cfi_bytes(&m->code, size);
	bool is_signed = (op - CONST1U) % 2;

	push(m, is_signed ? (uint64_t)((int64_t)(value << unused) >> unused) : value);
}

static void dereference(struct machine *m)
{
	uint64_t address = pop(m), value = 0;

	m->bad |= !readable_word(m->range, address, &value);
	push(m, value);
}

static void jump(struct machine *m, bool taken)
{
	int16_t distance = (int16_t)cfi_bytes(&m->code, 2);
	uintptr_t to = m->code.at + (uintptr_t)distance;

	if (!taken)
		return;
	/* only forward: an expression in a table has no loops */
	if (distance < 0 || to > m->code.end)
		m->bad = true;
	else
		m->code.at = to;
}

static void run_stack(struct machine *m, uint8_t op)
{
	uint64_t a, b, c;

	switch (op) {
	case DUP:
		pick(m, 0);
		break;
	case DROP:
		pop(m);
		break;
	case OVER:
		pick(m, 1);
		break;
	case PICK:
		pick(m, (unsigned)cfi_bytes(&m->code, 1));
		break;
	case SWAP:
		a = pop(m), b = pop(m);
		push(m, a), push(m, b);
		break;
	default: /* ROT */
		a = pop(m), b = pop(m), c = pop(m);
		push(m, a), push(m, c), push(m, b);
	}
}

/* b was on top */
static uint64_t result(struct machine *m, uint8_t op, uint64_t a, uint64_t b)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (op) {
	case AND:
		return a & b;
	case MINUS:
		return a - b;
	case MUL:
		return a * b;
	case OR:
		return a | b;
	case PLUS:
		return a + b;
	case SHL:
		return b < 64 ? a << b : 0;
	case SHR:
		return b < 64 ? a >> b : 0;
	case SHRA:
		return (uint64_t)(sa >> (b < 64 ? b : 63));
	case XOR:
		return a ^ b;
	case EQ:
		return a == b;
	case GE:
		return sa >= sb;
	case GT:
		return sa > sb;
	case LE:
		return sa <= sb;
	case LT:
		return sa < sb;
	case NE:
		return a != b;
	default: /* no table divides */
		m->bad = true;
		return 0;
	}
}

static void run_arithmetic(struct machine *m, uint8_t op)
{
	uint64_t b = pop(m);

	if (op == NEG)
		push(m, 0 - b);
	else if (op == NOT)
		push(m, ~b);
	else if (op == ABS)
		push(m, (int64_t)b < 0 ? 0 - b : b);
	else if (op == PLUS_UCONST)
		push(m, b + cfi_uleb(&m->code));
	else if (op == BRA)
		jump(m, b);
	else
		push(m, result(m, op, pop(m), b));
}

static void run_one(struct machine *m, uint8_t op)
{
	if (op >= LIT0 && op <= LIT31)
		push(m, op - LIT0);
	else if (op >= BREG0 && op <= BREG31)
		push_register(m, op - BREG0);
	else if (op == BREGX)
		push_register(m, cfi_uleb(&m->code));
	else if (op >= CONST1U && op <= CONST8S)
		push_constant(m, op);
	else if (op == ADDR)
		push(m, cfi_bytes(&m->code, 8));
	else if (op == CONSTU)
		push(m, cfi_uleb(&m->code));
	else if (op == CONSTS)
		push(m, (uint64_t)cfi_sleb(&m->code));
	else if (op == DEREF)
		dereference(m);
	else if (op >= DUP && op <= ROT)
		run_stack(m, op);
	else if (op >= ABS && op <= NE)
		run_arithmetic(m, op);
	else if (op == SKIP)
		jump(m, true);
	else
		m->bad |= op != NOP;
}

bool expression_run(struct cfi_reader code, const struct unwind *u, struct readable *range,
		    uint64_t *value)
{
	struct machine m;

	m.frame = u;
	m.range = range;
	m.code = code;
	m.bad = false;
	m.depth = 0;
	push(&m, *value);
	for (int i = 0; m.code.at < m.code.end; i++) {
		run_one(&m, (uint8_t)cfi_bytes(&m.code, 1));
		if (m.bad || m.code.bad || i > STEPS)
			return false;
	}
	*value = pop(&m);
	return !m.bad && !m.code.bad;
}
