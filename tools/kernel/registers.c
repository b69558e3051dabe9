/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/registers.h"

#include <elf.h>
#include <libunwind.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#if defined(__x86_64__)
#define PC(regs) ((regs)->rip)
#define SP(regs) ((regs)->rsp)
static const struct {
	int number;
	size_t offset;
} saved[] = {
#define REGISTER(NAME, name)                                                                       \
	{                                                                                          \
		UNW_X86_64_##NAME, offsetof(struct user_regs_struct, name)                         \
	}
	REGISTER(RAX, rax), REGISTER(RDX, rdx), REGISTER(RCX, rcx), REGISTER(RBX, rbx),
	REGISTER(RSI, rsi), REGISTER(RDI, rdi), REGISTER(RBP, rbp), REGISTER(R8, r8),
	REGISTER(R9, r9),   REGISTER(R10, r10), REGISTER(R11, r11), REGISTER(R12, r12),
	REGISTER(R13, r13), REGISTER(R14, r14), REGISTER(R15, r15),
};

static const uint64_t *find(const struct user_regs_struct *regs, int number)
{
	for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++) {
		if (saved[i].number == number)
			return (const uint64_t *)((const char *)regs + saved[i].offset);
	}
	return NULL;
}
#elif defined(__aarch64__)
#define PC(regs) ((regs)->pc)
#define SP(regs) ((regs)->sp)
static const uint64_t *find(const struct user_regs_struct *regs, int number)
{
	int index = number - UNW_AARCH64_X0;

	return index >= 0 && index < 31 ? (const uint64_t *)&regs->regs[index] : NULL;
}
#else
#error "reading registers is not supported on this architecture"
#endif

int registers_read(pid_t tid, struct registers *out)
{
	struct iovec regs = {&out->rest, sizeof(out->rest)};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &regs))
		return -1;
	out->pc = PC(&out->rest);
	out->sp = SP(&out->rest);
	out->all = true;
	return 0;
}

bool registers_get(const struct registers *registers, int number, uint64_t *value)
{
	const uint64_t *at = registers->all ? find(&registers->rest, number) : NULL;

	if (number == UNW_REG_IP)
		*value = registers->pc;
	else if (number == UNW_REG_SP)
		*value = registers->sp;
	else if (at)
		*value = *at;
	else
		return false;
	return true;
}
