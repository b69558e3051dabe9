/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

uint32_t clock_source = TLSTALL_CLOCK_MONOTONIC;
uint32_t clock_rough_per_us = 1000;

static inline uint64_t nanoseconds(clockid_t id)
{
	struct timespec now = {0};

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
 * traps to the host, which takes 6 us and more.
 */
static bool tsc_is_invariant(void)
{
	unsigned eax, ebx, ecx, edx;

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

void clock_choose(void)
{
#if defined(__x86_64__)
	if (kernel_trusts_tsc() && tsc_is_invariant()) {
		clock_source = TLSTALL_CLOCK_TSC;
		clock_rough_per_us = 2500;
	}
#elif defined(__aarch64__)
	uint64_t frequency;

	/* from 19 MHz to 1 GHz */
	__asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
	clock_source = TLSTALL_CLOCK_CNTVCT;
	clock_rough_per_us = frequency < 1000000 ? 1 : (uint32_t)(frequency / 1000000);
#endif
}

struct tlstall_clock_pair clock_pair(void)
{
	struct tlstall_clock_pair pair;
	uint64_t before = clock_ticks();

	pair.monotonic_ns = clock_monotonic_ns();
	pair.ticks = before + (clock_ticks() - before) / 2;
	pair.realtime_ns = nanoseconds(CLOCK_REALTIME);
	return pair;
}
