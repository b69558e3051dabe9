/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the trace of this process, and a new one after it is lost. */
#include "mapping.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ask.h"
#include "chain.h"
#include "clock.h"
#include "file.h"
#include "guard.h"
#include "layout.h"
#include "recorder.h"
#include "self.h"
#include "settings.h"
#include "system.h"

static struct tlstall_control private_control = {.mode = TLSTALL_MODE_ALL};
/* Separate from the one above, which other threads may be reading. */
static struct tlstall_control nothing = {.mode = TLSTALL_MODE_OFF};
control_pointer control = &private_control;
static bool given_up;

static void give_up(void)
{
	__atomic_store_n(&control, &nothing, __ATOMIC_RELEASE);
	__atomic_store_n(&given_up, true, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void read_settings(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	settings_read();
	mapping_notice_forks();
	private_control.mode = settings.mode;
	private_control.stacks = settings.stacks;
	private_control.socket = settings.socket != SOCKET_OFF;
	if (settings.mode == TLSTALL_MODE_OFF)
		give_up();
}

/* ---- its initial contents --------------------------------------------------- */

static void find_sections(const struct layout *l, char *base)
{
	mapping.states = layout_section(l, base, TLSTALL_SECTION_STATES);
	mapping.strings = layout_section(l, base, TLSTALL_SECTION_STRINGS);
	mapping.processes = layout_section(l, base, TLSTALL_SECTION_PROCESSES);
	mapping.modules = layout_section(l, base, TLSTALL_SECTION_MODULES);
	mapping.stacks = layout_section(l, base, TLSTALL_SECTION_STACKS);
	mapping.handshakes = layout_section(l, base, TLSTALL_SECTION_HANDSHAKES);
	mapping.opening = layout_section(l, base, TLSTALL_SECTION_OPENING);
	mapping.rest = layout_section(l, base, TLSTALL_SECTION_REST);
	mapping.history = layout_section(l, base, TLSTALL_SECTION_HISTORY);
	mapping.history_mask = l->section[TLSTALL_SECTION_HISTORY].count - 1;
	mapping.slot_count = l->section[TLSTALL_SECTION_HANDSHAKES].count;
	mapping.opening_mask = l->section[TLSTALL_SECTION_OPENING].count - 1;
	mapping.rest_mask = l->section[TLSTALL_SECTION_REST].count - 1;
	mapping.string_room = l->section[TLSTALL_SECTION_STRINGS].count;
	mapping.process_room = l->section[TLSTALL_SECTION_PROCESSES].count;
	mapping.module_room = l->section[TLSTALL_SECTION_MODULES].count;
	mapping.stack_room = l->section[TLSTALL_SECTION_STACKS].count;
}

static void write_self(struct tlstall_header *h, const struct self *self)
{
	struct utsname host;
	ssize_t length;

	h->pid = self->pid;
	h->uid = (uint32_t)system_getuid();
	h->start_time = self->start_time;
	h->pid_namespace = self->pid_namespace;
	h->time_namespace = self->time_namespace;
	h->monotonic_offset_ns = self->monotonic_offset_ns;
	h->boottime_offset_ns = self->boottime_offset_ns;
	memcpy(h->boot_id, self->boot_id, sizeof(h->boot_id));
	memcpy(h->comm, self->comm, sizeof(h->comm));
	if (!system_uname(&host))
		memcpy(h->host, host.nodename, strnlen(host.nodename, sizeof(h->host) - 1));
	length = self_read_link("exe", h->program, sizeof(h->program) - 1);
	h->program[length > 0 ? length : 0] = '\0';
}

static void write_header(struct tlstall_header *h)
{
	h->major = TLSTALL_MAJOR;
	h->minor = TLSTALL_MINOR;
	h->header_size = sizeof(*h);
	h->byte_order = TLSTALL_BYTE_ORDER;
	h->pointer_size = sizeof(void *);
	h->clock_source = clock_source;
	h->first = h->last = clock_pair();
	h->control = private_control;
	h->bad_settings = settings.bad_settings;
	h->keep = settings.keep;
	h->privacy = settings.privacy;
}

/* ---- when the file is lost -------------------------------------------------- */

/*
 * The header as it was when complete. If the file is lost, the memory
 * that replaces it begins with this.
 */
static struct tlstall_header first_header;

/* Traces lost, and parts of this one. */
static uint64_t lost_traces, lost_parts;

/*
 * The zeros that replaced the file become a trace in memory. Handshakes are counted on: objects in
 * use know theirs by their numbers.
 */
static void restart_header(void)
{
	memcpy(mapping.header, &first_header, sizeof(first_header));
	mapping.header->handshakes = __atomic_load_n(&mapping.last_number, __ATOMIC_RELAXED);
}

/* Runs in the signal handler. */
static void on_lost(void)
{
	__atomic_store_n(&mapping.usable, false, __ATOMIC_RELEASE);
	restart_header();
	__atomic_fetch_add(&lost_traces, 1, __ATOMIC_RELAXED);
	/* the next trace has lost none */
	__atomic_store_n(&lost_parts, 0, __ATOMIC_RELAXED);
}

static bool write_restarted(int fd)
{
	uint64_t handshakes = __atomic_load_n(&mapping.last_number, __ATOMIC_RELAXED);
	const off_t at = offsetof(struct tlstall_header, handshakes);

	return system_pwrite(fd, &first_header, sizeof(first_header), 0) == sizeof(first_header) &&
	       system_pwrite(fd, &handshakes, sizeof(handshakes), at) == sizeof(handshakes);
}

/* The file begins anew in the same place, which it may not leave. Bounded: somebody may truncate it for ever. */
#define RESTORES 1000
static bool restored;

static bool on_no_memory(void)
{
	static uint32_t times;
	bool more = __atomic_fetch_add(&times, 1, __ATOMIC_RELAXED) < RESTORES, done;
	int fd = more ? file_restore(mapping.size) : -1;

	if (fd < 0)
		return false;
	done = write_restarted(fd);
	system_close(fd);
	if (!done)
		return false;
	__atomic_store_n(&restored, true, __ATOMIC_RELEASE);
	__atomic_store_n(&mapping.usable, false, __ATOMIC_RELEASE);
	__atomic_fetch_add(&lost_traces, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&lost_parts, 0, __ATOMIC_RELAXED);
	return true;
}

/* The header may be lost as well, so it is not touched here. */
static void on_part(void)
{
	__atomic_fetch_add(&lost_parts, 1, __ATOMIC_RELAXED);
}

/*
 * Reading the control words is not worth a guard. If a thread may block SIGBUS, they are read from
 * a copy, which is refreshed now and then.
 */
static bool uses_private_control;

static void use_private_control(void)
{
	__atomic_store_n(&uses_private_control, true, __ATOMIC_SEQ_CST);
	__atomic_store_n(&control, &private_control, __ATOMIC_SEQ_CST);
}

/* Another thread may come to block it meanwhile. */
static void use_control_of(struct tlstall_header *header)
{
	__atomic_store_n(&control, &header->control, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&uses_private_control, __ATOMIC_SEQ_CST))
		use_private_control();
}

void mapping_renew(struct tlstall_header *header)
{
	header->lost_memory = __atomic_load_n(&lost_parts, __ATOMIC_RELAXED);
	if (control == &private_control)
		memcpy(&private_control, &header->control, sizeof(private_control));
}

/* ---- creation --------------------------------------------------------------- */

static void write_all(char *base, const struct layout *layout, const struct file *file,
		      const struct self *self)
{
	struct tlstall_header *header = (struct tlstall_header *)base;

	write_header(header);
	write_self(header, self);
	layout_write(layout, header);
	header->shared_directory = file->shared_directory;
	header->lost_traces = __atomic_load_n(&lost_traces, __ATOMIC_RELAXED);
	header->forked = mapping.forked;
	header->handshakes = header->handshakes_before =
		__atomic_load_n(&mapping.last_number, __ATOMIC_RELAXED);
	header->filtered = !ask_may();
	header->preload_before = chain_has_before;
	header->attached = mapping.attached;
	header->magic = TLSTALL_MAGIC;
}

/* A complete file. NULL: failed; a note says why, if one could be left. */
static char *new_file(void)
{
	struct layout layout = layout_plan(settings.size & ~4095ull);
	struct file file;
	struct self self;
	char *base;

	self_read(&self);
	base = file_make(&file, &self, layout.size);
	if (!base)
		return NULL;
	write_all(base, &layout, &file, &self);
	/* once it has a name it may be truncated, and is not touched before the guard is there */
	memcpy(&first_header, base, sizeof(first_header));
	if (!file_publish(&file, &self, (struct tlstall_header *)base)) {
		system_munmap(base, layout.size);
		return NULL;
	}
	file_name_in(&first_header);
	mapping.first = first_header.first;
	mapping.size = layout.size;
	if (!mapping.header)
		find_sections(&layout, base);
	return base;
}

static void protect(struct tlstall_header *header)
{
	guard_install(&(struct guard){
		.start = (uintptr_t)header,
		.end = (uintptr_t)header + mapping.size,
		.page = getauxval(AT_PAGESZ),
		.pid = &mapping_process->pid,
		.lost = on_lost,
		.part = on_part,
		.restore = on_no_memory,
		.blocked = use_private_control,
	});
}

static void create(void)
{
	struct tlstall_header *header;

	/* another library's constructor may call us before ours has run */
	read_settings();
	if (!mapping_make_identity())
		return;
	clock_choose();
	ask_look();
	header = (struct tlstall_header *)new_file();
	if (!header)
		return;
	protect(header);
	use_control_of(header);
	__atomic_store_n(&mapping.header, header, __ATOMIC_RELEASE);
	file_is_mapped();
	mapping_identity();
	__atomic_store_n(&mapping.usable, true, __ATOMIC_RELEASE);
}

/* What was known of the lost one's contents does not hold. */
static void begin_again(void)
{
	struct tlstall_header *header = mapping.header;

	header->lost_traces = __atomic_load_n(&lost_traces, __ATOMIC_RELAXED);
	header->handshakes_before = __atomic_load_n(&mapping.last_number, __ATOMIC_RELAXED);
	__atomic_fetch_add(&mapping.generation, 1, __ATOMIC_RELEASE);
	recorder_forget();
	mapping_join();
	__atomic_store_n(&mapping.usable, true, __ATOMIC_RELEASE);
}

/*
 * The file was truncated: a new one takes its place, at the same addresses. What
 * other threads write meanwhile is lost.
 */
static void renew(void)
{
	char *base = new_file();

	if (!base)
		return;
	protect(mapping.header);
	if (system_move(base, mapping.size, mapping.header) == MAP_FAILED) {
		system_munmap(base, mapping.size);
		file_remove();
		return;
	}
	file_is_mapped();
	begin_again();
}

#define TRIES 100
#define TRY_AGAIN_NS 100000000u
#define PATIENCE_NS 1000000000u

static uint32_t tries;

static bool is_time(void)
{
	static uint64_t last;
	uint64_t now = clock_monotonic_ns();

	if (tries && now - last < TRY_AGAIN_NS)
		return false;
	last = now;
	return ++tries < TRIES;
}

static void try_once(void)
{
	/* a filter was set before the trace was made */
	if (!ask_may()) {
		give_up();
		return;
	}
	/* another thread made it while this one was on its way here */
	if (__atomic_load_n(&mapping.usable, __ATOMIC_ACQUIRE))
		return;
	if (__atomic_exchange_n(&restored, false, __ATOMIC_ACQ_REL)) {
		begin_again();
		return;
	}
	if (!is_time())
		return;
	if (mapping.header)
		renew();
	else
		create();
	if (!mapping.header && !file_may_come())
		give_up();
}

/* Whether the maker has had more time than it needs even on a busy host. */
static bool is_long_ago(uint64_t since)
{
	return since && clock_monotonic_ns() - since > PATIENCE_NS;
}

/* The process that is making the trace; 0: none. */
static pid_t making;

/*
 * Not pthread_once(), which waits forever for a thread that a fork did not copy, or for the code
 * that a signal handler interrupted.
 */
static void make(void)
{
	static uint64_t since;
	static __thread bool here;
	pid_t maker = 0, own = ask_pid();

	/* called by a signal handler that interrupted this */
	if (here)
		return;
	clock_look();
	if (__atomic_compare_exchange_n(&making, &maker, own, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		here = true;
		__atomic_store_n(&since, clock_monotonic_ns(), __ATOMIC_RELAXED);
		guard_enter();
		try_once();
		guard_leave();
		here = false;
		__atomic_store_n(&since, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&making, 0, __ATOMIC_RELEASE);
		return;
	}
	for (int i = 0; i < 100 && !__atomic_load_n(&mapping.header, __ATOMIC_ACQUIRE); i++) {
		if (!__atomic_load_n(&making, __ATOMIC_ACQUIRE) || !ask_may())
			return;
		system_nanosleep(&(struct timespec){.tv_nsec = 100000});
	}
	if (!__atomic_load_n(&mapping.header, __ATOMIC_ACQUIRE) &&
	    (maker != own || is_long_ago(__atomic_load_n(&since, __ATOMIC_RELAXED))))
		give_up();
}

bool mapping_make(void)
{
	int saved = errno;

	if (!__atomic_load_n(&given_up, __ATOMIC_RELAXED))
		make();
	errno = saved;
	return __atomic_load_n(&mapping.header, __ATOMIC_ACQUIRE);
}

/* ---- attaching and detaching ----------------------------------------------------- */

bool mapping_attach(uint32_t mode)
{
	mapping.attached = true;
	mapping.earlier = __atomic_load_n(&mapping.last_number, __ATOMIC_RELAXED);
	tries = 0;
	private_control.mode = mode;
	__atomic_store_n(&given_up, false, __ATOMIC_RELAXED);
	if (mapping_open()) {
		protect(mapping.header);
		use_control_of(mapping.header);
		return true;
	}
	give_up();
	return false;
}

/* To readers, this looks like the end of the process: the trace is never written again. */
static void close_trace(struct tlstall_header *header)
{
	uint64_t now = clock_ticks();

	header->control.mode = TLSTALL_MODE_OFF;
	header->exit_ticks = mapping.processes[0].exit_ticks = now;
	__atomic_store_n(&mapping.processes[0].exited, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&header->exited, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&header->detached, 1, __ATOMIC_RELEASE);
}

void mapping_let_go(void)
{
	give_up();
	/* another thread may be making a trace */
	for (int i = 0; i < 100 && __atomic_load_n(&making, __ATOMIC_ACQUIRE); i++)
		system_nanosleep(&(struct timespec){.tv_nsec = 100000});
	if (!mapping.header)
		return;
	guard_enter();
	if (mapping.usable)
		close_trace(mapping.header);
	__atomic_store_n(&mapping.usable, false, __ATOMIC_RELEASE);
	if (guard_remove())
		restart_header();
	guard_leave();
}
