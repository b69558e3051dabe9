/* SPDX-License-Identifier: Apache-2.0 */
/* As for x86-64, see there; x30 holds the return address. */
#if defined(__aarch64__)

.macro entry name
	.globl	\name
	.type	\name, %function
	.align	2
\name:
	.cfi_startproc
	hint	#34 /* bti c */
	add	x9, x0, #1
	cmp	x9, #1
	b.hi	reach_\name
	stp	x29, x30, [sp, #-48]!
	.cfi_def_cfa_offset 48
	.cfi_offset 29, -48
	.cfi_offset 30, -40
	stp	x0, x1, [sp, #16]
	str	x2, [sp, #32]
	mov	x29, sp
	mov	x2, x30
	bl	reach_scope
	mov	x9, x0
	ldr	x2, [sp, #32]
	ldp	x0, x1, [sp, #16]
	ldp	x29, x30, [sp], #48
	.cfi_restore 30
	.cfi_restore 29
	.cfi_def_cfa_offset 0
	adrp	x10, reach_usual
	add	x10, x10, #:lo12:reach_usual
	cmp	x9, x10
	b.ne	1f
	adrp	x16, reach_real_\name
	ldr	x16, [x16, #:lo12:reach_real_\name]
	br	x16
1:	mov	x0, x9
	ret
	.cfi_endproc
	.size	\name, . - \name
.endm

	.hidden	reach_dlsym, reach_dlvsym, reach_real_dlsym, reach_real_dlvsym, reach_scope, reach_usual
	.text
	entry	dlsym
	entry	dlvsym

#endif
	.section .note.GNU-stack, "", %progbits
