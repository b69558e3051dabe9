/* SPDX-License-Identifier: Apache-2.0 */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "elf.h"
#include "file.h"
#include "settings.h"

/* Every process looks into it at its end: on the page that the settings have touched. */
struct mapping mapping __attribute__((section(".data")));
static struct tlstall_control private_control = {.mode = TLSTALL_MODE_ALL};
struct tlstall_control *control = &private_control;

/* A page that the kernel wipes in every forked child, even after a raw clone(). */
struct identity *mapping_process;
static bool parent_was_single;

__thread struct thread_id mapping_thread;

__attribute__((constructor)) static void read_settings(void)
{
	settings_read();
	private_control.mode = settings.mode;
}

/* What qemu-user makes up as /proc/self/stat tells another time in each image. */
static ssize_t read_stat(char *text, size_t size)
{
	char path[64];
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	got = file_read_small(path, text, size);
	return got > 0 ? got : file_read_small("/proc/self/stat", text, size);
}

/* Field 22; the command name before it may hold anything. */
static uint64_t read_start_time(void)
{
	char text[1024];
	const char *at;

	if (read_stat(text, sizeof(text)) <= 0)
		return 0;
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void read_comm(char comm[16])
{
	char text[32];
	ssize_t size = file_read_small("/proc/self/comm", text, sizeof(text));

	if (size > 0 && text[size - 1] == '\n')
		text[--size] = '\0';
	memcpy(comm, text, 16);
	comm[15] = '\0';
}

/* Not what the header says, which others may write. */
static uint64_t size_of_file(void)
{
	return settings.size & ~4095ull;
}

/* ---- layout --------------------------------------------------------------- */

struct layout {
	struct tlstall_section section[TLSTALL_SECTION_COUNT];
	uint64_t size;
};

static void place(struct layout *layout, enum tlstall_section_id id, uint64_t count, size_t size)
{
	layout->section[id] = (struct tlstall_section){
		.offset = layout->size,
		.count = (uint32_t)count,
		.entry_size = (uint32_t)size,
	};
	layout->size += (count * size + 63) & ~63ull;
}

static uint64_t power_below(uint64_t n)
{
	return 1ull << (63 - __builtin_clzll(n));
}

/* Small tables take up to a quarter; the rest is shared by slots and the two rings. */
static struct layout plan(uint64_t size)
{
	struct layout l = {.size = 4096};
	bool small = size < (1u << 20);
	uint64_t room;

	place(&l, TLSTALL_SECTION_FUNCTIONS, 64, sizeof(struct tlstall_function));
	place(&l, TLSTALL_SECTION_STATES, 256, sizeof(struct tlstall_string));
	place(&l, TLSTALL_SECTION_STRINGS, small ? 256 : 1024, sizeof(struct tlstall_string));
	place(&l, TLSTALL_SECTION_PROCESSES, small ? 64 : 1024, sizeof(struct tlstall_process));
	place(&l, TLSTALL_SECTION_MODULES, small ? 96 : 512, sizeof(struct tlstall_module));
	place(&l, TLSTALL_SECTION_STACKS, small ? 64 : 512, sizeof(struct tlstall_stack));
	room = size - l.size;
	place(&l, TLSTALL_SECTION_OPENING, power_below(room / 3 / 64),
	      sizeof(struct tlstall_event));
	place(&l, TLSTALL_SECTION_REST, power_below(room / 3 / 64), sizeof(struct tlstall_event));
	place(&l, TLSTALL_SECTION_HANDSHAKES, (size - l.size) / sizeof(struct tlstall_handshake),
	      sizeof(struct tlstall_handshake));
	l.size = size;
	return l;
}

static void *section(const struct layout *l, char *base, enum tlstall_section_id id)
{
	return base + l->section[id].offset;
}

static void find_sections(const struct layout *l, char *base)
{
	mapping.states = section(l, base, TLSTALL_SECTION_STATES);
	mapping.strings = section(l, base, TLSTALL_SECTION_STRINGS);
	mapping.processes = section(l, base, TLSTALL_SECTION_PROCESSES);
	mapping.modules = section(l, base, TLSTALL_SECTION_MODULES);
	mapping.stacks = section(l, base, TLSTALL_SECTION_STACKS);
	mapping.handshakes = section(l, base, TLSTALL_SECTION_HANDSHAKES);
	mapping.opening = section(l, base, TLSTALL_SECTION_OPENING);
	mapping.rest = section(l, base, TLSTALL_SECTION_REST);
	mapping.slot_count = l->section[TLSTALL_SECTION_HANDSHAKES].count;
	mapping.opening_mask = l->section[TLSTALL_SECTION_OPENING].count - 1;
	mapping.rest_mask = l->section[TLSTALL_SECTION_REST].count - 1;
}

static void write_functions(const struct layout *l, char *base, struct tlstall_header *header)
{
	static const struct tlstall_function functions[] = {
#define INTERPOSED(name, kind, need) {TLSTALL_KIND_##kind, {0}, #name},
#include "functions.def"
		{TLSTALL_KIND_INTERNAL, {0}, "(inside OpenSSL)"},
	};

	memcpy(section(l, base, TLSTALL_SECTION_FUNCTIONS), functions, sizeof(functions));
	header->function_count = sizeof(functions) / sizeof(functions[0]);
}

static void write_header(struct tlstall_header *h, const struct layout *l, uint64_t start_time)
{
	ssize_t length;

	h->major = TLSTALL_MAJOR;
	h->minor = TLSTALL_MINOR;
	h->header_size = sizeof(*h);
	h->byte_order = TLSTALL_BYTE_ORDER;
	h->pointer_size = sizeof(void *);
	h->pid = (uint32_t)getpid();
	h->uid = (uint32_t)getuid();
	h->start_time = start_time;
	h->clock_source = clock_source;
	h->first = h->last = clock_pair();
	h->control = private_control;
	h->control.mode = settings.mode;
	h->control.stacks = settings.stacks;
	h->control.socket = settings.socket;
	h->bad_settings = settings.bad_settings;
	h->file_size = l->size;
	h->section_count = TLSTALL_SECTION_COUNT;
	memcpy(h->section, l->section, sizeof(l->section));
	h->string_count = h->state_count = h->stack_count = 1; /* id 0 is "none" */
	read_comm(h->comm);
	gethostname(h->host, sizeof(h->host) - 1);
	file_read_small("/proc/sys/kernel/random/boot_id", h->boot_id, sizeof(h->boot_id));
	h->boot_id[strcspn(h->boot_id, "\n")] = '\0';
	length = readlink("/proc/self/exe", h->program, sizeof(h->program) - 1);
	h->program[length > 0 ? length : 0] = '\0';
}

/* ---- creation ------------------------------------------------------------- */

/* One link for the directory, one for its parent, one for each thread's. */
static bool has_threads(void)
{
	struct statx st;

	return statx(AT_FDCWD, "/proc/self/task", 0, STATX_NLINK, &st) || st.stx_nlink != 3;
}

static void before_fork(void)
{
	int saved = errno;

	if (mapping.header)
		__atomic_store_n(&mapping.header->forked, 1, __ATOMIC_RELAXED);
	parent_was_single = !has_threads();
	elf_pause_walks();
	errno = saved;
}

/* The next child may come by _Fork() or clone(), which do not tell us. */
static void after_fork_in_parent(void)
{
	parent_was_single = false;
	elf_resume_walks(false);
}

/* qemu-user accepts MADV_WIPEONFORK and wipes nothing. */
static void after_fork_in_child(void)
{
	__atomic_store_n(&mapping_process->state, IDENTITY_NONE, __ATOMIC_RELEASE);
	elf_resume_walks(true);
}

static bool make_identity(void)
{
	struct identity *identity =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (identity == MAP_FAILED)
		return false;
	if (madvise(identity, 4096, MADV_WIPEONFORK))
		return false;
	mapping_process = identity;
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
	return true;
}

static void create(void)
{
	struct tlstall_header *header;
	struct layout layout;
	uint64_t start_time;
	uint32_t image;
	char *base;

	/* a library's constructor may come before ours */
	settings_read();
	if (!make_identity())
		return;
	clock_choose();
	layout = plan(size_of_file());
	start_time = read_start_time();
	base = file_create(start_time, layout.size, &image);
	if (!base)
		return;
	header = (struct tlstall_header *)base;
	write_header(header, &layout, start_time);
	header->image = image;
	write_functions(&layout, base, header);
	find_sections(&layout, base);
	__atomic_store_n(&mapping.header, header, __ATOMIC_RELEASE);
	mapping_identity();
	__atomic_store_n(&control, &header->control, __ATOMIC_RELEASE);
	__atomic_store_n(&header->magic, TLSTALL_MAGIC, __ATOMIC_RELEASE);
}

/*
 * Not pthread_once(), which waits for ever for a thread that a fork did not copy,
 * or for the code that a signal handler interrupted.
 */
static void create_once(void)
{
	enum { NOT_YET, MAKING, OVER };
	static uint32_t state;
	uint32_t seen = NOT_YET;

	if (__atomic_compare_exchange_n(&state, &seen, MAKING, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		create();
		if (!mapping.header)
			private_control.mode = TLSTALL_MODE_OFF;
		__atomic_store_n(&state, OVER, __ATOMIC_RELEASE);
		return;
	}
	for (int i = 0; i < 100 && __atomic_load_n(&state, __ATOMIC_ACQUIRE) == MAKING; i++)
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	__atomic_store_n(&state, OVER, __ATOMIC_RELEASE);
}

bool mapping_make(void)
{
	int saved = errno;

	create_once();
	errno = saved;
	return __atomic_load_n(&mapping.header, __ATOMIC_ACQUIRE);
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Where the kernel does not know it the pages come one by one. */
void mapping_ahead(void *from, size_t size)
{
	uintptr_t start = (uintptr_t)from & ~4095ul, end = (uintptr_t)from + size;
	uintptr_t limit = (uintptr_t)mapping.header + size_of_file();

	madvise((void *)start, (end < limit ? end : limit) - start, MADV_POPULATE_WRITE);
}

/* ---- processes and threads ------------------------------------------------ */

static uint16_t add_process(void)
{
	struct tlstall_header *header = mapping.header;
	uint32_t room = header->section[TLSTALL_SECTION_PROCESSES].count;
	uint32_t index = __atomic_fetch_add(&header->process_count, 1, __ATOMIC_RELAXED);
	struct tlstall_process *process;

	if (index >= room) {
		__atomic_fetch_add(&header->lost.processes, 1, __ATOMIC_RELAXED);
		return (uint16_t)(room - 1);
	}
	process = &mapping.processes[index];
	process->pid = (uint32_t)getpid();
	process->parent = (uint32_t)getppid();
	process->first_ticks = clock_ticks();
	process->start_time = read_start_time();
	read_comm(process->comm);
	__atomic_store_n(&process->commit, 1, __ATOMIC_RELEASE);
	return (uint16_t)index;
}

/* One of the threads that come at once does it, and the others wait for that. */
void mapping_become_process(void)
{
	int saved = errno;
	bool child = mapping.header->process_count > 0;
	uint32_t state = IDENTITY_NONE;

	if (__atomic_compare_exchange_n(&mapping_process->state, &state, IDENTITY_MAKING, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		mapping_process->process = add_process();
		mapping_process->threaded_parent = child && !parent_was_single;
		parent_was_single = false;
		__atomic_store_n(&mapping_process->state, IDENTITY_KNOWN, __ATOMIC_RELEASE);
	}
	for (int i = 0; i < 100 && __atomic_load_n(&mapping_process->state, __ATOMIC_ACQUIRE) !=
					   IDENTITY_KNOWN;
	     i++)
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	errno = saved;
}

uint32_t mapping_ask_tid(uint16_t process)
{
	mapping_thread = (struct thread_id){(uint32_t)syscall(SYS_gettid), process};
	return mapping_thread.tid;
}

/* ---- time and end --------------------------------------------------------- */

static double rate(const struct tlstall_clock_pair *a, const struct tlstall_clock_pair *b)
{
	return (double)(b->ticks - a->ticks) / (double)(b->monotonic_ns - a->monotonic_ns + 1);
}

/* Suspend or migration show as a counter whose rate over the last stretch is another one. */
static bool disturbed(const struct tlstall_header *h, const struct tlstall_clock_pair *now)
{
	double before = rate(&h->first, &h->last), lately = rate(&h->last, now);

	if (h->last.monotonic_ns - h->first.monotonic_ns < 50000000u ||
	    now->monotonic_ns - h->last.monotonic_ns < 50000000u)
		return false;
	return now->ticks < h->last.ticks || lately > before * 1.001 || lately < before * 0.999;
}

void mapping_keep_time(uint64_t ticks)
{
	struct tlstall_header *h = mapping.header;
	uint32_t sequence = __atomic_load_n(&h->last_sequence, __ATOMIC_ACQUIRE);
	struct tlstall_clock_pair now;

	if (ticks - h->last.ticks < clock_rough_ticks(100000) || (sequence & 1))
		return;
	if (!__atomic_compare_exchange_n(&h->last_sequence, &sequence, sequence + 1, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	now = clock_pair();
	if (disturbed(h, &now))
		h->clock_disturbed++;
	h->last = now;
	__atomic_store_n(&h->last_sequence, sequence + 2, __ATOMIC_RELEASE);
}

/* Measured again as the time since the start grows by a half: four digits at once, more later. */
uint64_t mapping_ticks_per_ms(uint64_t ticks)
{
	static uint64_t measured, again;
	const struct tlstall_header *h = mapping.header;
	uint64_t passed = ticks - h->first.ticks;
	struct tlstall_clock_pair now;

	if (clock_source == TLSTALL_CLOCK_MONOTONIC)
		return 1000000;
	if (passed < __atomic_load_n(&again, __ATOMIC_ACQUIRE))
		return __atomic_load_n(&measured, __ATOMIC_RELAXED);
	if (passed < clock_rough_ticks(100))
		return clock_rough_ticks(1000);
	now = clock_pair();
	__atomic_store_n(&measured, (uint64_t)(rate(&h->first, &now) * 1e6) | 1, __ATOMIC_RELAXED);
	__atomic_store_n(&again, passed + passed / 2, __ATOMIC_RELEASE);
	return __atomic_load_n(&measured, __ATOMIC_RELAXED);
}

__attribute__((destructor)) static void at_exit(void)
{
	struct tlstall_header *header = mapping.header;
	struct tlstall_process *process;
	uint64_t now;

	if (!header)
		return;
	now = clock_ticks();
	mapping_keep_time(now + clock_rough_ticks(1000000));
	process = &mapping.processes[mapping_identity()->process];
	process->exit_ticks = now;
	__atomic_store_n(&process->exited, 1, __ATOMIC_RELEASE);
	if ((uint32_t)getpid() != header->pid)
		return;
	header->exit_ticks = now;
	__atomic_store_n(&header->exited, 1, __ATOMIC_RELEASE);
	/* Made a context, never shook hands, has no children that might: leave nothing behind. */
	if (!__atomic_load_n(&header->handshakes, __ATOMIC_ACQUIRE) && !header->forked &&
	    !header->lost.foreign_calls && !header->bad_settings)
		file_remove();
}
