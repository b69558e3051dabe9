/* SPDX-License-Identifier: Apache-2.0 */
/* Which process and thread this is. */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ask.h"
#include "clock.h"
#include "elf.h"
#include "guard.h"
#include "self.h"
#include "system.h"

/* Every process reads this at its end: it is on the page of the settings, already touched. */
struct mapping mapping __attribute__((section(".data")));

/* On a page that the kernel zeroes in every forked child, even after a raw clone(). */
struct identity *mapping_process;
static bool parent_was_single;

__thread struct thread_id mapping_thread;

/* ---- forks ------------------------------------------------------------------ */

extern char __libc_single_threaded __attribute__((weak)); /* since glibc 2.32 */

/* The directory has one link from its parent, one from itself, and one for each thread. */
static bool has_threads(void)
{
	struct statx st;

	return system_statx(AT_FDCWD, "/proc/self/task", 0, STATX_NLINK, &st) || st.stx_nlink != 3;
}

/* Without a trace, a seccomp filter may be in force of which nothing is known: nothing is asked. */
static bool is_single(void)
{
	if (&__libc_single_threaded && __libc_single_threaded)
		return true;
	return mapping_process && ask_may() && !has_threads();
}

static void before_fork(void)
{
	int saved = errno;

	mapping.forked = mapping_process != NULL;
	if (mapping.header) {
		guard_enter();
		__atomic_store_n(&mapping.header->forked, 1, __ATOMIC_RELAXED);
		guard_leave();
	}
	parent_was_single = is_single();
	if (ask_may())
		elf_await_walks();
	errno = saved;
}

/* The next child may be made by _Fork() or clone(), which call no handler. */
static void after_fork_in_parent(void)
{
	parent_was_single = false;
}

/* qemu-user accepts MADV_WIPEONFORK but wipes nothing. */
static void after_fork_in_child(void)
{
	if (mapping_process)
		__atomic_store_n(&mapping_process->state, IDENTITY_NONE, __ATOMIC_RELEASE);
	elf_after_fork(!parent_was_single);
}

/*
 * glibc links pthread_atfork() into each library that calls it; it calls
 * this function. musl has it in libc.
 */
extern int __register_atfork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void),
			     void *library) __attribute__((weak));
extern __typeof__(pthread_atfork) pthread_atfork __attribute__((weak));
extern void *__dso_handle __attribute__((visibility("hidden")));

void mapping_notice_forks(void)
{
	static bool done;

	if (done)
		return;
	done = true;

	if (__register_atfork)
		__register_atfork(before_fork, after_fork_in_parent, after_fork_in_child, &__dso_handle);
	else if (pthread_atfork)
		pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

bool mapping_make_identity(void)
{
	struct identity *identity;

	if (mapping_process)
		return true;
	identity =
		system_mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (identity == MAP_FAILED)
		return false;
	if (system_madvise(identity, 4096, MADV_WIPEONFORK))
		return false;
	mapping_process = identity;
	mapping_notice_forks();
	return true;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* If the kernel does not know this advice, pages are faulted in one by one. */
void mapping_ahead(void *from, size_t size)
{
	uintptr_t start = (uintptr_t)from & ~4095ul, end = (uintptr_t)from + size;
	uintptr_t limit = (uintptr_t)mapping.header + mapping.size;

	if (ask_may())
		system_madvise((void *)start, (end < limit ? end : limit) - start,
			       MADV_POPULATE_WRITE);
}

/* ---- processes and threads ------------------------------------------------ */

/* The process that made the trace has read /proc already. */
static void describe(struct tlstall_process *process)
{
	const struct tlstall_header *maker = mapping.header;

	process->parent = (uint32_t)system_getppid();
	if (process == mapping.processes && process->pid == maker->pid) {
		process->start_time = maker->start_time;
		process->pid_namespace = maker->pid_namespace;
		memcpy(process->comm, maker->comm, sizeof(process->comm));
		return;
	}
	process->start_time = self_start_time(process->comm);
	process->pid_namespace = self_pid_namespace();
}

static uint16_t add_process(void)
{
	struct tlstall_header *header = mapping.header;
	uint32_t room = mapping.process_room;
	uint32_t index = __atomic_fetch_add(&header->process_count, 1, __ATOMIC_RELAXED);
	struct tlstall_process *process;

	if (index >= room) {
		__atomic_fetch_add(&header->lost.processes, 1, __ATOMIC_RELAXED);
		return (uint16_t)(room - 1);
	}
	process = &mapping.processes[index];
	process->pid = (uint32_t)ask_pid();
	process->first_ticks = clock_ticks();
	if (ask_may() || index == 0)
		describe(process);
	else /* a fork keeps its name */
		memcpy(process->comm, header->comm, sizeof(process->comm));
	__atomic_store_n(&process->commit, 1, __ATOMIC_RELEASE);
	return (uint16_t)index;
}

void mapping_join(void)
{
	uint16_t process = add_process();

	__atomic_store_n(&mapping_process->process, process, __ATOMIC_RELEASE);
}

/* If several threads come at once, one does it and the others wait. */
void mapping_become_process(void)
{
	int saved = errno;
	static bool has_parent, threaded;
	uint32_t state = IDENTITY_NONE;

	if (__atomic_compare_exchange_n(&mapping_process->state, &state, IDENTITY_MAKING, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		guard_enter();
		mapping_process->process = add_process();
		guard_leave();
		/* children inherit the loader's locks in whatever state they are */
		threaded |= has_parent && !parent_was_single;
		mapping_process->threaded_parent = threaded;
		has_parent = true;
		parent_was_single = false;
		__atomic_store_n(&mapping_process->state, IDENTITY_KNOWN, __ATOMIC_RELEASE);
	}
	for (int i = 0; i < 100 && __atomic_load_n(&mapping_process->state, __ATOMIC_ACQUIRE) !=
					   IDENTITY_KNOWN;
	     i++) {
		if (ask_may())
			system_nanosleep(&(struct timespec){.tv_nsec = 100000});
	}
	errno = saved;
}

uint32_t mapping_ask_tid(uint16_t process)
{
	mapping_thread = (struct thread_id){(uint32_t)ask_tid(), process};
	return mapping_thread.tid;
}
