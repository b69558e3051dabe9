/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gets signals all the time. If one arrives in code that no library contains, where tlstall attach
 * leads a thread, its handler takes 200 ms. A line of standard input is answered with the number of
 * these. A failed read, such as an interrupted one, ends the program. With an argument, the signal comes
 * at the last instructions of that code, by a breakpoint there.
 */
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#include "../common.h"

#define LIBRARIES 64

/* From the end of a library's code to the end of its last page. */
static struct rest {
	uintptr_t start, end;
} rests[LIBRARIES];
static unsigned rest_count, interrupted;
static unsigned char *_Atomic breakpoint;

static int add_rests(struct dl_phdr_info *object, size_t size, void *unused)
{
	(void)size, (void)unused;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		uintptr_t end = object->dlpi_addr + part->p_vaddr + part->p_memsz;

		if (part->p_type == PT_LOAD && part->p_flags & PF_X && rest_count < LIBRARIES)
			rests[rest_count++] = (struct rest){end, (end + 4095) & ~(uintptr_t)4095};
	}
	return 0;
}

static bool in_a_rest(uintptr_t at)
{
	for (unsigned i = 0; i < rest_count; i++) {
		if (at >= rests[i].start && at < rests[i].end)
			return true;
	}
	return false;
}

static uintptr_t place_of(const ucontext_t *interrupted_at)
{
#if defined(__x86_64__)
	return (uintptr_t)interrupted_at->uc_mcontext.gregs[REG_RIP];
#else
	return (uintptr_t)interrupted_at->uc_mcontext.pc;
#endif
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	static bool waited;

	(void)number, (void)info;
	/* the next signal comes at the same place */
	waited = in_a_rest(place_of(context)) && !waited;
	if (!waited)
		return;
	nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
	interrupted++;
}

/* ---- at its end -------------------------------------------------------------------------- */

/* popfq, mov words, %rsp */
static const unsigned char last[] = {0x9d, 0x48, 0x8b, 0x25};
#define BREAKPOINT 0xcc

/* The tool changes memory, and the compiler does not know. */
static void look_again(void)
{
	__asm__ volatile("" : : : "memory");
}

static unsigned char *find_last(void)
{
	for (unsigned i = 0; i < rest_count; i++) {
		unsigned char *found = memmem((void *)rests[i].start, rests[i].end - rests[i].start, last,
					      sizeof(last));

		if (found)
			return found;
	}
	return NULL;
}

static void on_breakpoint(int number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted_at = context;

	(void)number, (void)info;
	*breakpoint = last[0];
#if defined(__x86_64__)
	interrupted_at->uc_mcontext.gregs[REG_RIP] = (greg_t)breakpoint;
#endif
	interrupted++;
	nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
}

/* Each time that the code appears. */
static void *watch(void *unused)
{
	for (;;) {
		unsigned char *found = find_last();
		void *page;

		if (!found) {
			look_again();
			continue;
		}
		breakpoint = found;
		page = (void *)((uintptr_t)found & ~4095ul);
		NEED(mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
		*found = BREAKPOINT;
		while (!memcmp(found + 1, last + 1, sizeof(last) - 1))
			look_again();
		NEED(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
	}
	return unused;
}

static void interrupt_at_the_end(void)
{
	struct sigaction action = {.sa_sigaction = on_breakpoint, .sa_flags = SA_SIGINFO | SA_RESTART};
	pthread_t thread;

	NEED(sigaction(SIGTRAP, &action, NULL) == 0);
	NEED(pthread_create(&thread, NULL, watch, NULL) == 0);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	/* makes this a process that uses TLS */
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	char byte;

	NEED(ctx && sigaction(SIGALRM, &action, NULL) == 0);
	dl_iterate_phdr(add_rests, NULL);
	(void)argv;
	if (argc > 1)
		interrupt_at_the_end();
	else
		NEED(setitimer(ITIMER_REAL, &(struct itimerval){{0, 300}, {0, 300}}, NULL) == 0);
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) == 1) {
		printf("%u\n", interrupted);
		fflush(stdout);
	}
	return 0;
}
