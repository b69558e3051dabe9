/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The length of one x86-64 instruction, and which part of it is relative to its address. Rarer ones
 * (EVEX, XOP, far and privileged instructions) are not known: length 0.
 */
#ifndef SHIM_DECODE_X86_H
#define SHIM_DECODE_X86_H

#include <stdint.h>

enum instruction_kind {
	INSTRUCTION_PLAIN,
	INSTRUCTION_BRANCH, /* jcc */
	INSTRUCTION_LOOP,   /* loop, jrcxz: have no long form */
	INSTRUCTION_JUMP,   /* direct */
	INSTRUCTION_CALL,
	INSTRUCTION_END,    /* ret, jmp through a register or memory: nothing follows */
};

struct instruction {
	uint8_t length; /* 0: unknown */
	uint8_t kind;	/* enum instruction_kind */
	/* a displacement from the end of the instruction; size 0: none */
	uint8_t displacement_at, displacement_size;
};

/* Reads at most 15 bytes. */
void decode_x86(const uint8_t *code, struct instruction *out);

#endif
