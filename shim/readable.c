/* SPDX-License-Identifier: Apache-2.0 */
#include "readable.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "elf.h"
#include "system.h"

#define PAGE 4096ul /* the smallest page size */
/* If a single frame is larger than this, only its far end is checked. */
#define GROW_MAX (64 * PAGE)

/* The kernel maps nothing else within this distance below the top of the main stack. */
#define MAIN_STACK (8ul << 20)
/*
 * Thread-local variables, up to this size, lie between a thread's
 * first frame and its control block.
 */
#define THREAD_STACK_TOP (64 * 1024ul)

static uintptr_t page_of(uintptr_t at)
{
	return at & ~(PAGE - 1);
}

/* ---- asking ------------------------------------------------------------------------- */

enum { UNKNOWN, TRUSTED, NOT_TRUSTED };

/*
 * The kernel copies the new mask before it checks the operation, which is invalid here: the answer
 * is EFAULT or EINVAL, and the mask does not change. The caller preserves errno.
 */
static int ask(uintptr_t page)
{
	return system_call(SYS_rt_sigprocmask, ~0ul, page, 0ul, 8ul) ? errno : 0;
}

static uint32_t known;

/* valgrind would report the invalid address as an error of the program. */
void readable_prepare(void)
{
	if (elf_first("_vgnU_freeres"))
		__atomic_store_n(&known, NOT_TRUSTED, __ATOMIC_RELAXED);
}

/* A seccomp filter or an emulator may answer differently from the kernel. */
static bool may_trust(void)
{
	uint32_t trust = __atomic_load_n(&known, __ATOMIC_RELAXED);
	uint64_t word = 0;

	if (trust == UNKNOWN) {
		bool right = ask(~(uintptr_t)0 & ~(PAGE - 1)) == EFAULT &&
			     ask((uintptr_t)&word & ~7ul) == EINVAL;

		trust = right ? TRUSTED : NOT_TRUSTED;
		__atomic_store_n(&known, trust, __ATOMIC_RELAXED);
	}
	return trust == TRUSTED;
}

static bool is_readable(uintptr_t page)
{
	return page && may_trust() && ask(page) == EINVAL;
}

/* ---- the range ------------------------------------------------------------------------- */

/* The program's file name lies at the very top of the stack. */
static uintptr_t main_stack_top(void)
{
	return getauxval(AT_EXECFN) & ~7ul;
}

static bool is_main_stack(uintptr_t sp)
{
	return main_stack_top() - sp < MAIN_STACK;
}

void readable_begin(struct readable *range, uintptr_t sp, bool ask_kernel)
{
	*range = (struct readable){
		.low = sp, .high = page_of(sp) + PAGE, .ask = ask_kernel && may_trust()};
	if (!range->ask && is_main_stack(sp))
		range->high = main_stack_top();
}

static bool holds(const struct readable *range, uintptr_t at)
{
	return at >= range->low && at < range->high && range->high - at >= sizeof(uint64_t);
}

static bool grow(struct readable *range, uintptr_t at)
{
	while (at >= range->high) {
		if (!is_readable(range->high))
			return false;
		range->high += PAGE;
	}
	return true;
}

static bool reach(struct readable *range, uintptr_t at)
{
	if (holds(range, at))
		return true;
	if (!range->ask)
		return false;
	if (at < range->low || at - range->high >= GROW_MAX) {
		range->low = range->high = page_of(at);
		range->moved = true;
	}
	return grow(range, at);
}

__attribute__((no_sanitize("address", "thread"))) static uint64_t word_at(uintptr_t at)
{
	return *(const volatile uint64_t *)at;
}

bool readable_word(struct readable *range, uintptr_t at, uint64_t *word)
{
	if (at % sizeof(*word) || !reach(range, at))
		return false;
	*word = word_at(at);
	return true;
}

bool readable_elsewhere(const struct readable *range, uintptr_t at)
{
	return range->ask && is_readable(page_of(at)) && is_readable(page_of(at + 15));
}

/* ---- the thread's own stack --------------------------------------------------------------- */

static uintptr_t thread_pointer(void)
{
	uintptr_t pointer;

#if defined(__x86_64__)
	__asm__("movq %%fs:0, %0" : "=r"(pointer));
#else
	__asm__("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
	return pointer;
}

/* glibc puts a thread's control block at the top of its stack. */
bool readable_is_own_stack(struct readable *range, uintptr_t sp, uintptr_t last)
{
	uintptr_t top = thread_pointer();

	if (range->moved || sp < range->low || !holds(range, last))
		return false;
	if (is_main_stack(sp))
		return last < main_stack_top();
	return top > last && top - last < THREAD_STACK_TOP && reach(range, top & ~7ul);
}
