/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See stub.h. No libc, no data outside the block, no thread pointer of ours. Each function has its
 * own section; tests/checks/stub.sh verifies this.
 */
#include "look/stub.h"

#if STUB_EXISTS

#include <asm/prctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define STUB __attribute__((section("look_stub"), used))
#define CHANNEL 0

/* ---- in assembly ---------------------------------------------------------------- */

struct outcome {
	uint64_t value, failed;
};

/* Calls the function, and remembers where to continue if it must be broken off. */
__attribute__((visibility("hidden"))) struct outcome stub_guard(uint64_t *resume, const struct stub_call *call);
__attribute__((visibility("hidden"))) void stub_broken_off(void);
__attribute__((visibility("hidden"))) void stub_restore(void);

__asm__(".pushsection look_stub,\"ax\",@progbits\n"
	".hidden stub_guard\n"
	".globl stub_guard\n"
	".type stub_guard,@function\n"
	"stub_guard:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	sub $8, %rsp\n"
	"	mov %rsp, (%rdi)\n"
	"	mov 8(%rsi), %rdi\n"
	"	mov (%rsi), %rax\n"
	"	mov 16(%rsi), %rsi\n"
	"	xor %edx, %edx\n"
	"	call *%rax\n"
	"	xor %edx, %edx\n"
	"	jmp 1f\n"
	".hidden stub_broken_off\n"
	".globl stub_broken_off\n"
	".type stub_broken_off,@function\n"
	"stub_broken_off:\n"
	"	mov $1, %edx\n"
	"1:	add $8, %rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	".hidden stub_restore\n"
	".globl stub_restore\n"
	".type stub_restore,@function\n"
	"stub_restore:\n"
	"	mov $15, %eax\n" /* rt_sigreturn */
	"	syscall\n"
	".popsection\n");

STUB static long system_call(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
			     uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define CALL(number, a, b, c, d)                                                                   \
	system_call(SYS_##number, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)

STUB static void leave(int status)
{
	for (;;)
		CALL(exit_group, status, 0, 0, 0);
}

/* ---- pages that are missing ------------------------------------------------------ */

STUB static void tell(uint64_t kind, uint64_t value)
{
	volatile struct stub_word word;

	word.kind = kind;
	word.value = value;
	if (CALL(write, CHANNEL, &word, sizeof(word), 0) != sizeof(word))
		leave(2);
}

/*
 * Returns false if the process has nothing there, either. Reads first and maps afterwards: a new
 * page would hold zeros.
 */
STUB static bool fetch(const struct stub *stub, uint64_t address)
{
	uint64_t page = address & ~(stub->page - 1);
	uint64_t *from = (uint64_t *)((char *)stub + STUB_BUFFER);
	volatile uint64_t *to = (volatile uint64_t *)page;

	if (page < stub->page || page >= stub->top)
		return false;
	tell(STUB_PAGE, page);
	if (CALL(read, CHANNEL, from, stub->page, 0) != (long)stub->page ||
	    system_call(SYS_mmap, page, stub->page, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, (uint64_t)-1,
			0) != (long)page)
		return false;
	for (uint64_t i = 0; i < stub->page / sizeof(*to); i++)
		to[i] = from[i];
	return true;
}

/* ---- signals ---------------------------------------------------------------------- */

STUB static void on_signal(int number, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	struct stub *stub = (struct stub *)((uint64_t)__builtin_frame_address(0) &
					    ~(uint64_t)(STUB_SIZE - 1));

	if (number == SIGSEGV && info->si_code == SEGV_MAPERR &&
	    fetch(stub, (uint64_t)info->si_addr))
		return;
	if (number == SIGSYS)
		tell(STUB_SYSCALL, (uint64_t)(uint32_t)info->si_syscall);
	else
		tell(STUB_FAULT, (uint64_t)number);
	at->uc_mcontext.gregs[REG_RIP] = (greg_t)stub_broken_off;
	at->uc_mcontext.gregs[REG_RSP] = (greg_t)stub->resume;
	at->uc_mcontext.gregs[REG_EFL] = 0x202;
}

/* The kernel's struct sigaction. */
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};
#define SA_RESTORER 0x04000000ul

STUB static void handle(int number)
{
	volatile struct kernel_action action;

	action.handler = on_signal;
	action.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER;
	action.restorer = stub_restore;
	action.mask = 0;
	if (CALL(rt_sigaction, number, &action, NULL, sizeof(action.mask)))
		leave(3);
}

STUB static void handle_signals(const struct stub *stub)
{
	volatile stack_t stack;

	stack.ss_sp = (char *)stub + STUB_SIGNALS;
	stack.ss_flags = 0;
	stack.ss_size = STUB_THREAD - STUB_SIGNALS - 0x10000;
	if (CALL(sigaltstack, &stack, NULL, 0, 0))
		leave(4);
	handle(SIGSEGV);
	handle(SIGBUS);
	handle(SIGILL);
	handle(SIGFPE);
	handle(SIGTRAP);
	handle(SIGSYS);
}

/* ---- alone, and confined ------------------------------------------------------------- */

/* What functions take for their thread: words that point to themselves, then zeros. */
STUB static void make_thread(const struct stub *stub)
{
	volatile uint64_t *thread = (uint64_t *)((char *)stub + STUB_THREAD);

	thread[0] = (uint64_t)thread;
	thread[2] = (uint64_t)thread;
	if (CALL(arch_prctl, ARCH_SET_FS, thread, 0, 0))
		leave(5);
}

STUB static void lock_in(struct stub *stub)
{
	volatile struct {
		uint16_t count;
		struct sock_filter *filter;
	} program;

	program.count = (uint16_t)stub->filter_count;
	program.filter = stub->filter;
	if (CALL(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program, 0))
		leave(6);
}

STUB void stub_main(struct stub *stub)
{
	struct stub_call call;

	/* mappings that the kernel has sealed stay: they hold only its own code */
	for (uint32_t i = 0; i < stub->range_count; i++)
		CALL(munmap, stub->ranges[i].start, stub->ranges[i].size, 0, 0);
	make_thread(stub);
	handle_signals(stub);
	lock_in(stub);
	tell(STUB_READY, 0);
	while (CALL(read, CHANNEL, &call, sizeof(call), 0) == sizeof(call)) {
		struct outcome outcome = stub_guard(&stub->resume, &call);

		if (!outcome.failed)
			tell(STUB_RETURNED, outcome.value);
	}
	leave(0);
	__builtin_unreachable();
}

#endif
