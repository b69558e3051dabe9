/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlsym and dlvsym as the program calls them. RTLD_DEFAULT (0) and RTLD_NEXT (-1) search from the
 * object of the return address, so these jump to the real function with the stack unchanged. Any
 * other handle says where to search: C code may make that call.
 */
#if defined(__x86_64__)

.macro entry name
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	endbr64
	lea	1(%rdi), %rax
	cmp	$1, %rax
	ja	reach_\name
	push	%rdi
	.cfi_adjust_cfa_offset 8
	push	%rsi
	.cfi_adjust_cfa_offset 8
	push	%rdx
	.cfi_adjust_cfa_offset 8
	mov	24(%rsp), %rdx
	call	reach_scope
	pop	%rdx
	.cfi_adjust_cfa_offset -8
	pop	%rsi
	.cfi_adjust_cfa_offset -8
	pop	%rdi
	.cfi_adjust_cfa_offset -8
	lea	reach_usual(%rip), %r10
	cmp	%r10, %rax
	jne	1f
	jmp	*reach_real_\name(%rip)
1:	ret
	.cfi_endproc
	.size	\name, . - \name
.endm

	.hidden	reach_dlsym, reach_dlvsym, reach_real_dlsym, reach_real_dlvsym, reach_scope, reach_usual
	.text
	entry	dlsym
	entry	dlvsym

#endif
	.section .note.GNU-stack, "", %progbits
