/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/stub.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define INSIDE __attribute__((section("attach_stub"), used))

#if defined(__x86_64__)
#include <asm/unistd_64.h>

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

/*
 * The first half. On entry, all registers are the thread's except the program counter, the stack
 * pointer, which is below what the thread uses, and rax, which has the value to resume with.
 * Between the two calls of rt_sigprocmask, no code of the program runs in this thread.
 */
__asm__(".pushsection attach_stub, \"ax\", @progbits\n"
	"	.balign	64\n"
	"attach_stub_words:\n"
	"	.quad	0, 0, 0, 0, 0, -1, 0, 0\n"
	"	.globl	attach_stub_entry\n"
	"	.hidden	attach_stub_entry\n"
	"attach_stub_entry:\n"
	"	pushfq\n"
	"	push	%rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	push	%rbx\n"
	"	push	%rbp\n"
	"	push	%rsi\n"
	"	push	%rdi\n"
	"	push	%r8\n"
	"	push	%r9\n"
	"	push	%r10\n"
	"	push	%r11\n"
	"	push	%r12\n"
	"	push	%r13\n"
	"	push	%r14\n"
	"	push	%r15\n"
	"	cld\n"
	"	mov	%rsp, %rbp\n"
	/* x87, SSE, AVX and AVX-512, in the format with fixed offsets */
	"	sub	$4096, %rsp\n"
	"	and	$-64, %rsp\n"
	"	lea	512(%rsp), %rdi\n"
	"	xor	%eax, %eax\n"
	"	mov	$8, %ecx\n"
	"	rep	stosq\n"
	"	mov	$0xe7, %eax\n"
	"	xor	%edx, %edx\n"
	"	xsave64	(%rsp)\n"
	"	mov	%rsp, %r12\n"
	"	sub	$64, %rsp\n"
	/* rt_sigprocmask(SIG_SETMASK, all, old, 8) */
	"	mov	$14, %eax\n"
	"	mov	$2, %edi\n"
	"	lea	40+attach_stub_words(%rip), %rsi\n"
	"	mov	%rsp, %rdx\n"
	"	mov	$8, %r10d\n"
	"	syscall\n"
	/* mmap(page, size, READ | WRITE, PRIVATE | ANONYMOUS | FIXED_NOREPLACE, -1, 0) */
	"	mov	16+attach_stub_words(%rip), %rbx\n"
	"	mov	$9, %eax\n"
	"	mov	%rbx, %rdi\n"
	"	mov	$16384, %esi\n"
	"	mov	$3, %edx\n"
	"	mov	$0x100022, %r10d\n"
	"	mov	$-1, %r8\n"
	"	xor	%r9d, %r9d\n"
	"	syscall\n"
	"	cmp	%rbx, %rax\n"
	"	je	1f\n"
	/* Linux before 4.17 may map it elsewhere */
	"	mov	%rax, %rdi\n"
	"	xor	%ebx, %ebx\n"
	"	cmp	$-4096, %rax\n"
	"	ja	3f\n"
	"	jmp	2f\n"
	"1:	mov	%rbx, %rdi\n"
	"	xor	%esi, %esi\n"
	"	lea	attach_stub_worker(%rip), %rdx\n"
	"	mov	%rbx, %rcx\n"
	"	call	*24+attach_stub_words(%rip)\n"
	"	test	%eax, %eax\n"
	"	jz	3f\n"
	"	mov	%rbx, %rdi\n"
	"	xor	%ebx, %ebx\n"
	/* munmap: no thread was made */
	"2:	mov	$11, %eax\n"
	"	mov	$16384, %esi\n"
	"	syscall\n"
	"3:	mov	$14, %eax\n"
	"	mov	$2, %edi\n"
	"	mov	%rsp, %rsi\n"
	"	xor	%edx, %edx\n"
	"	mov	$8, %r10d\n"
	"	syscall\n"
	/* handlers of signals that came meanwhile have returned; there is no page if rbx is 0 */
	"	test	%rbx, %rbx\n"
	"	jz	4f\n"
	"	movl	$1, " TEXT(STUB_LEFT) "(%rbx)\n"
	"4:	mov	$0xe7, %eax\n"
	"	xor	%edx, %edx\n"
	"	xrstor64 (%r12)\n"
	"	mov	%rbp, %rsp\n"
	"	pop	%r15\n"
	"	pop	%r14\n"
	"	pop	%r13\n"
	"	pop	%r12\n"
	"	pop	%r11\n"
	"	pop	%r10\n"
	"	pop	%r9\n"
	"	pop	%r8\n"
	"	pop	%rdi\n"
	"	pop	%rsi\n"
	"	pop	%rbp\n"
	"	pop	%rbx\n"
	"	pop	%rdx\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	"	popfq\n"
	"	mov	attach_stub_words(%rip), %rsp\n"
	"	jmp	*8+attach_stub_words(%rip)\n"
	".popsection\n");

static inline __attribute__((always_inline)) long call(long number, long a, long b)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b)
			 : "rcx", "r11", "memory");
	return result;
}

/* ---- the second half --------------------------------------------------------------- */

static inline __attribute__((always_inline)) void rest(void)
{
	struct timespec ms = {.tv_nsec = 1000000};

	call(__NR_nanosleep, (long)&ms, 0);
}

/* By the clock: on a busy machine, sleeping for 1 ms may take many. */
static inline __attribute__((always_inline)) long now_ms(void)
{
	struct timespec now;

	call(__NR_clock_gettime, CLOCK_MONOTONIC, (long)&now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

extern const struct stub_words attach_stub_words __attribute__((visibility("hidden")));

/* Waits for the next order. If none comes, the thread leaves. */
static inline __attribute__((always_inline)) uint32_t await(const struct stub_page *page,
							    uint32_t last)
{
	for (long end = now_ms() + STUB_PATIENCE_MS; page->order == last && now_ms() < end;)
		rest();
	return page->order == last ? STUB_LEAVE : page->order;
}

static inline __attribute__((always_inline)) void copy_message(struct stub_page *page,
							       const char *text)
{
	for (unsigned i = 0; text && text[i] && i < sizeof(page->message) - 1; i++)
		page->message[i] = text[i];
}

static inline __attribute__((always_inline)) void load(struct stub_page *page)
{
	void *(*open)(const char *, int) = (void *(*)(const char *, int))page->open;
	void *(*symbol)(void *, const char *) = (void *(*)(void *, const char *))page->symbol;
	const char *(*reason)(void) = (const char *(*)(void))page->error;
	void *library = open(page->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (library)
		page->entry = (uint64_t)symbol(library, page->entry_name);
	if (!page->entry)
		copy_message(page, reason());
}

static inline __attribute__((always_inline)) void obey(struct stub_page *page, uint32_t order)
{
	uint64_t (*entry)(const struct tlstall_attach *);

	if (order == STUB_OPEN_FILE) {
		page->file = (int32_t)call(__NR_memfd_create, (long)page->path, 1 /* MFD_CLOEXEC */);
		page->opened = page->file >= 0;
	}
	if (order == STUB_LOAD)
		load(page);
	/* the tool may have given up meanwhile */
	entry = (uint64_t(*)(const struct tlstall_attach *))page->entry;
	if ((order == STUB_LOAD || order == STUB_CALL) && entry && page->order == order)
		page->result = entry(&page->arguments);
}

/* After munmap(), the tool removes this code at once: that returns to whoever called the worker. */
__asm__(".pushsection attach_stub, \"ax\", @progbits\n"
	"attach_stub_worker:\n"
	"	push	%rbx\n"
	"	mov	%rdi, %rbx\n"
	"	call	attach_stub_work\n"
	"	mov	%rbx, %rdi\n"
	"	pop	%rbx\n"
	"	test	%eax, %eax\n"
	"	jz	1f\n"
	"	mov	$16384, %esi\n"
	"	jmp	*56+attach_stub_words(%rip)\n"
	"1:	ret\n"
	".popsection\n");

uint32_t attach_stub_work(struct stub_page *page) __attribute__((visibility("hidden")));

/* Whether the page may be taken away. Otherwise it stays, for a handler that has not returned yet. */
INSIDE uint32_t attach_stub_work(struct stub_page *page)
{
	const struct stub_words *words = &attach_stub_words;
	uint32_t order = STUB_WAIT;

	((int (*)(uint64_t))words->detach)(page->thread);
	page->made_ns = words->made_ns;
	page->ready = (uint32_t)call(__NR_gettid, 0, 0);
	do {
		order = await(page, order);
		obey(page, order);
		if (page->opened && order != STUB_OPEN_FILE)
			call(__NR_close, page->file, 0);
		page->done = order;
	} while (order == STUB_OPEN_FILE);
	for (long end = now_ms() + STUB_PATIENCE_MS; !(page->seen && page->left) && now_ms() < end;)
		rest();
	return page->left;
}
#else

/* Attaching is refused on this architecture. The linker still defines the section's symbols. */
INSIDE static const char nothing[1];

#endif
