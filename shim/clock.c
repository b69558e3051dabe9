/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <asm/prctl.h>
#include <cpuid.h>
#endif

#include "ask.h"
#include "system.h"

uint32_t clock_source = TLSTALL_CLOCK_MONOTONIC;
uint32_t clock_rough_per_us = 1000;
bool clock_reads_counter;

/*
 * A thread may be forbidden to read the counter, and then libc's clock_gettime(), which reads it
 * too, would raise SIGSEGV: the kernel is asked instead. Under a filter, time stands still.
 */
static bool forbidden;

static __attribute__((noinline)) void ask_kernel(clockid_t id, struct timespec *now)
{
	if (ask_may())
		system_call(SYS_clock_gettime, id, now);
}

static inline __attribute__((always_inline)) uint64_t nanoseconds(clockid_t id)
{
	struct timespec now = {0};

	if (__builtin_expect(__atomic_load_n(&forbidden, __ATOMIC_ACQUIRE), 0))
		ask_kernel(id, &now);
	else
		clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return nanoseconds(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_ns(void)
{
	return nanoseconds(CLOCK_REALTIME);
}

uint64_t clock_cpu_ns(void)
{
	return nanoseconds(CLOCK_THREAD_CPUTIME_ID);
}

#if defined(__x86_64__)
#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/"

/* Reads a file of words, and appends a blank so that each of them ends with one. */
static void read_words(const char *path, char text[256])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, text, 254);

	if (fd >= 0)
		close(fd);
	if (size > 0 && text[size - 1] == '\n')
		size--;
	strcpy(text + (size > 0 ? size : 0), " ");
}

/*
 * CPUID 0x80000007, EDX bit 8: the TSC runs at the same rate in all power
 * states. Every 64-bit processor has that leaf. In a virtual machine, CPUID
 * traps to the host, which takes 6 us and more. A thread may be forbidden to
 * execute it: it would raise SIGSEGV.
 */
static bool tsc_is_invariant(void)
{
	unsigned eax, ebx, ecx, edx;

	if (!system_call(SYS_arch_prctl, ARCH_GET_CPUID, 0))
		return false;
	__cpuid(0x80000007, eax, ebx, ecx, edx);
	return edx & (1u << 8);
}

/*
 * The kernel lists the TSC as available, and keeps time by it, only as long as it has found no
 * fault. kvm-clock and Hyper-V's page are the TSC scaled by the host.
 */
static bool kernel_trusts_tsc(void)
{
	char text[256];

	read_words(CLOCKSOURCE "current_clocksource", text);
	if (!strcmp(text, "tsc "))
		return true;
	if (strcmp(text, "kvm-clock ") && strcmp(text, "hyperv_clocksource_tsc_page "))
		return false;
	read_words(CLOCKSOURCE "available_clocksource", text);
	return !strncmp(text, "tsc ", 4) || strstr(text, " tsc ");
}
#endif

/* ---- when the counter may no longer be read ------------------------------------------- */

/* When the clock was chosen, and when the counter was read last. */
static struct tlstall_clock_pair chosen, last;
static uint64_t ticks_per_ns; /* since then; 32 bits of it are a fraction */

#define SHORT_NS 100000u

static uint64_t rate(void)
{
	uint64_t ns = last.monotonic_ns - chosen.monotonic_ns, ticks = last.ticks - chosen.ticks;

	/* too early to measure */
	if (ns < SHORT_NS)
		return ((uint64_t)clock_rough_per_us << 32) / 1000;
	for (; ticks >> 31; ns >>= 1)
		ticks >>= 1;
	return (ticks << 32) / ns;
}

void clock_leave_counter(void)
{
	static bool begun;

	if (__atomic_exchange_n(&begun, true, __ATOMIC_ACQ_REL))
		return;
	if (__atomic_load_n(&clock_reads_counter, __ATOMIC_ACQUIRE)) {
		last = clock_pair();
		ticks_per_ns = rate();
	}
	__atomic_store_n(&forbidden, true, __ATOMIC_RELEASE);
	__atomic_store_n(&clock_reads_counter, false, __ATOMIC_RELEASE);
}

/* A trace whose clock is the counter goes on with it, as far as the kernel's clock can tell. */
static __attribute__((noinline)) uint64_t ticks_at(uint64_t now)
{
	if (now <= last.monotonic_ns)
		return last.ticks;
	return last.ticks + (uint64_t)((unsigned __int128)(now - last.monotonic_ns) * ticks_per_ns >> 32);
}

uint64_t clock_ticks_otherwise(void)
{
	uint64_t now = nanoseconds(CLOCK_MONOTONIC);

	return clock_source == TLSTALL_CLOCK_MONOTONIC ? now : ticks_at(now);
}

/* This thread was forbidden before the program began, or by a call that we did not see. */
void clock_look(void)
{
	int mode = PR_TSC_ENABLE;

	if (!__atomic_load_n(&clock_reads_counter, __ATOMIC_ACQUIRE) && ask_may() &&
	    !system_call(SYS_prctl, PR_GET_TSC, &mode, 0, 0, 0) && mode == PR_TSC_SIGSEGV)
		clock_leave_counter();
}

/* ---- the choice ----------------------------------------------------------------------- */

static void choose(uint32_t source, uint32_t rough_per_us)
{
	clock_source = source;
	clock_rough_per_us = rough_per_us;
	__atomic_store_n(&clock_reads_counter, true, __ATOMIC_RELEASE);
	chosen = clock_pair();
}

void clock_choose(void)
{
	if (clock_reads_counter || forbidden)
		return;
#if defined(__x86_64__)
	if (kernel_trusts_tsc() && tsc_is_invariant())
		choose(TLSTALL_CLOCK_TSC, 2500);
#elif defined(__aarch64__)
	uint64_t frequency;

	/* from 19 MHz to 1 GHz */
	__asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
	choose(TLSTALL_CLOCK_CNTVCT, frequency < 1000000 ? 1 : (uint32_t)(frequency / 1000000));
#endif
}

/* Returns how many ticks the reading took. */
static uint64_t read_pair(struct tlstall_clock_pair *pair)
{
	uint64_t before = clock_ticks(), width;

	pair->monotonic_ns = clock_monotonic_ns();
	pair->realtime_ns = clock_realtime_ns();
	width = clock_ticks() - before;
	pair->ticks = before + width / 2;
	return width;
}

#define ATTEMPTS 5

/*
 * A thread that loses its processor between the readings gets a pair that is wrong by milliseconds, and
 * with it the length of a tick. So a slow reading is repeated, and the fastest one counts.
 */
struct tlstall_clock_pair clock_pair(void)
{
	struct tlstall_clock_pair pair, best;
	uint64_t least = read_pair(&best);

	for (int i = 1; i < ATTEMPTS && least > clock_rough_ticks(1); i++) {
		uint64_t width = read_pair(&pair);

		if (width < least) {
			least = width;
			best = pair;
		}
	}
	return best;
}
