/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a thread by libunwind's numbers; which are known depends on how they were read. */
#ifndef TOOLS_KERNEL_REGISTERS_H
#define TOOLS_KERNEL_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct registers {
	uint64_t sp, pc;
	bool all; /* the rest is known too */
	struct user_regs_struct rest;
};

/* Of a thread that is stopped by ptrace; -1 with errno. */
int registers_read(pid_t tid, struct registers *out);
bool registers_get(const struct registers *registers, int number, uint64_t *value);

#endif
