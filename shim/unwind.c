/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind.h"

#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

#include "code.h"

static bool is_known(const struct unwind *u, uint64_t reg)
{
	return reg < CFI_REGISTERS && u->known >> reg & 1;
}

static void forget(struct unwind *u, unsigned reg)
{
	u->known &= ~(1ull << reg);
}

static void learn(struct unwind *u, unsigned reg, uint64_t value)
{
	u->reg[reg] = value;
	u->known |= 1ull << reg;
}

/* arm64 may sign return addresses; where it does not, this changes nothing. */
static uintptr_t strip(uint64_t address)
{
#if defined(__aarch64__)
	register uint64_t x30 __asm__("x30") = address;

	__asm__("hint #7" : "+r"(x30)); /* xpaclri */
	return x30;
#else
	return address;
#endif
}

/* ---- with tables ----------------------------------------------------------------------- */

struct step {
	const struct cfi_table *table;
	const struct unwind *from;
	struct readable *range;
	uintptr_t cfa;
	uintptr_t place; /* where the last register was found; 0: not in memory */
};

static bool find_cfa(struct step *step, const struct cfi_row *row)
{
	uint64_t value = 0;

	if (row->cfa.where == CFI_IN) {
		if (!is_known(step->from, (uint64_t)row->cfa.value))
			return false;
		step->cfa = step->from->reg[row->cfa.value] + (uintptr_t)(intptr_t)row->offset;
		return true;
	}
	if (!expression_run(cfi_expression(step->table, row->cfa.value), step->from, step->range,
			    &value))
		return false;
	step->cfa = value;
	return true;
}

static bool find_in_memory(struct step *step, uintptr_t at, uint64_t *value)
{
	step->place = at;
	return readable_word(step->range, at, value);
}

static bool find_register(struct step *step, const struct cfi_rule *rule, unsigned reg,
			  uint64_t *value)
{
	uint64_t from = rule->where == CFI_IN ? (uint64_t)rule->value : reg;
	uintptr_t near = step->cfa + (uintptr_t)(intptr_t)rule->value;

	step->place = 0;
	switch (rule->where) {
	case CFI_AT:
		return find_in_memory(step, near, value);
	case CFI_IS:
		*value = near;
		return true;
	case CFI_AT_RESULT:
	case CFI_IS_RESULT:
		*value = step->cfa;
		if (!expression_run(cfi_expression(step->table, rule->value), step->from,
				    step->range, value))
			return false;
		return rule->where == CFI_IS_RESULT || find_in_memory(step, *value, value);
	case CFI_UNDEFINED:
		return false;
	default:
		*value = is_known(step->from, from) ? step->from->reg[from] : 0;
		return is_known(step->from, from);
	}
}

/* On x86-64, without a rule the return address has not been found. */
static bool find_return(struct step *step, const struct cfi_row *row, struct unwind *u)
{
	uint64_t value = 0;

	if (!find_register(step, &row->reg[CFI_RETURN], CFI_RETURN, &value))
		return false;
	u->place = step->place;
	u->ip = strip(value);
	return true;
}

static bool is_of_fixed_size(const struct cfi_frame *frame)
{
	return !frame->signal && frame->row.cfa.where == CFI_IN && frame->row.cfa.value == CFI_SP;
}

static bool step_by_tables(struct unwind *u, const struct cfi_frame *frame,
			   const struct cfi_table *table, struct readable *range)
{
	const struct unwind from = *u;
	struct step step = {.table = table, .from = &from, .range = range};

	if (!find_cfa(&step, &frame->row) || !find_return(&step, &frame->row, u))
		return false;
	for (unsigned reg = 0; reg < CFI_REGISTERS; reg++) {
		const struct cfi_rule *rule = &frame->row.reg[reg];
		uint64_t value = 0;

		if (rule->where == CFI_SAME)
			continue;
		if (find_register(&step, rule, reg, &value))
			learn(u, reg, value);
		else
			forget(u, reg);
	}
	u->sp = step.cfa;
	learn(u, CFI_SP, step.cfa);
	u->exact = frame->signal;
	u->fixed = is_of_fixed_size(frame);
	return u->ip && (u->ip != from.ip || u->sp != from.sp);
}

/* ---- without tables: signal return code and frame pointers ---------------------------------- */

#if defined(__x86_64__)
/* mov $15, %rax; syscall */
static const uint64_t signal_return[2] = {0x0f0000000fc0c748ull, 0x05};
#define SIGNAL_RETURN_MASK 0xffull
#define FRAME_CONTEXT 0

static uintptr_t saved_register(unsigned reg)
{
	static const uint8_t numbers[CFI_REGISTERS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		REG_R9,	 REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
	};

	return offsetof(ucontext_t, uc_mcontext.gregs) + 8ul * numbers[reg];
}
#define SAVED_IP saved_register(CFI_RETURN)
#else
/* mov x8, #139; svc #0 */
static const uint64_t signal_return[2] = {0xd4000001d2801168ull, 0};
#define SIGNAL_RETURN_MASK 0ull
#define FRAME_CONTEXT sizeof(siginfo_t)

static uintptr_t saved_register(unsigned reg)
{
	return reg == CFI_SP ? offsetof(ucontext_t, uc_mcontext.sp)
			     : offsetof(ucontext_t, uc_mcontext.regs) + 8ul * reg;
}
#define SAVED_IP offsetof(ucontext_t, uc_mcontext.pc)
#endif

__attribute__((no_sanitize("address", "thread", "alignment"))) static bool
is_signal_return(const struct unwind *u, const struct readable *range)
{
	const volatile uint64_t *code = (const volatile uint64_t *)u->ip;

	return readable_elsewhere(range, u->ip) && code[0] == signal_return[0] &&
	       (code[1] & SIGNAL_RETURN_MASK) == signal_return[1];
}

static bool step_over_signal(struct unwind *u, struct readable *range)
{
	uintptr_t context = u->sp + FRAME_CONTEXT;
	uint64_t ip;

	if (!readable_word(range, context + SAVED_IP, &ip))
		return false;
	for (unsigned reg = 0; reg < CFI_REGISTERS; reg++) {
		uint64_t value;

		if (readable_word(range, context + saved_register(reg), &value))
			learn(u, reg, value);
		else
			forget(u, reg);
	}
	u->ip = ip;
	u->sp = u->reg[CFI_SP];
	u->place = 0;
	u->exact = true;
	u->fixed = false;
	return is_known(u, CFI_SP) && ip;
}

/* A frame pointer that leads further up than this, in bytes, is not believed: libunwind's limit. */
#define GUESS_MAX 0x4000

/* JIT code has no tables. */
static bool step_by_frame_pointer(struct unwind *u, struct readable *range)
{
	uintptr_t record = u->reg[CFI_FP];
	uint64_t ip, pointer;

	if (!is_known(u, CFI_FP) || record < u->sp || record - u->sp > GUESS_MAX ||
	    !readable_word(range, record, &pointer) || !readable_word(range, record + 8, &ip) ||
	    !ip)
		return false;
	u->known = 0;
	learn(u, CFI_FP, pointer);
	learn(u, CFI_SP, record + 16);
	u->sp = record + 16;
	u->ip = strip(ip);
	u->place = record + 8;
	u->exact = false;
	u->fixed = false;
	return true;
}

static bool step_without_tables(struct unwind *u, struct readable *range)
{
	return is_signal_return(u, range) ? step_over_signal(u, range)
					  : step_by_frame_pointer(u, range);
}

bool unwind_step(struct unwind *u, struct readable *range)
{
	struct cfi_frame frame;
	struct cfi_table table;
	uintptr_t pc = u->exact ? u->ip : u->ip - 1;

	if (!code_find(pc, &table) || !cfi_find(&table, pc, &frame))
		return step_without_tables(u, range);
	/* an undefined frame pointer also marks the outermost frame */
	return step_by_tables(u, &frame, &table, range) && is_known(u, CFI_FP);
}
