/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/unwind.h"

#include <elf.h>
#include <errno.h>
#include <libunwind.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/maps.h"
#include "kernel/registers.h"

struct unwinder {
	pid_t pid;
	struct maps maps;
	unw_addr_space_t space;
	struct registers registers; /* of the current thread */
};

static bool read_memory(pid_t pid, uint64_t address, void *buffer, size_t size)
{
	struct iovec here = {buffer, size}, there = {(void *)(uintptr_t)address, size};

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* ---- unwind tables ------------------------------------------------------------- */

/* More program headers than any linker makes: a limit for damaged files. */
#define HEADERS 64

struct tables {
	uint64_t start, end; /* code of the module */
	uint64_t header;     /* .eh_frame_hdr */
};

/* Reads the program headers from that process's memory: the file may be gone, or in a container. */
static bool find_tables(const struct unwinder *u, const struct mapped *mapped, struct tables *out)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), bias = 0;
	ElfW(Phdr) phdr[HEADERS];
	ElfW(Ehdr) ehdr;

	*out = (struct tables){.start = mapped->start, .end = mapped->end};
	if (mapped->offset || !read_memory(u->pid, mapped->start, &ehdr, sizeof(ehdr)) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG) || ehdr.e_phnum > HEADERS ||
	    ehdr.e_phentsize != sizeof(*phdr) ||
	    !read_memory(u->pid, mapped->start + ehdr.e_phoff, phdr, ehdr.e_phnum * sizeof(*phdr)))
		return false;
	for (unsigned i = ehdr.e_phnum; i-- > 0;) {
		if (phdr[i].p_type == PT_LOAD && phdr[i].p_offset < page)
			bias = mapped->start - phdr[i].p_vaddr / page * page;
	}
	for (unsigned i = 0; i < ehdr.e_phnum; i++) {
		if (phdr[i].p_type == PT_GNU_EH_FRAME)
			out->header = bias + phdr[i].p_vaddr;
	}
	return out->header;
}

/* .eh_frame_hdr as every linker writes it: its table is sorted, with pairs of 32-bit values. */
struct eh_frame_hdr {
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	int32_t frame;
	uint32_t count;
};
#define ENCODING_UDATA4 0x03
#define ENCODING_DATAREL_SDATA4 0x3b

/* libunwind exports this for our purpose, but does not declare it. */
#define search_table UNW_OBJ(dwarf_search_unwind_table)
int search_table(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t *table, unw_proc_info_t *out,
		 int need_unwind_info, void *context);

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *out,
			  int need_unwind_info, void *context)
{
	const struct unwinder *u = context;
	const struct mapped *mapped = maps_find(&u->maps, ip);
	struct eh_frame_hdr head;
	struct tables tables;
	unw_dyn_info_t table = {.format = UNW_INFO_FORMAT_REMOTE_TABLE};

	if (!mapped || !find_tables(u, mapped, &tables) ||
	    !read_memory(u->pid, tables.header, &head, sizeof(head)) || head.version != 1 ||
	    head.count_encoding != ENCODING_UDATA4 ||
	    head.table_encoding != ENCODING_DATAREL_SDATA4)
		return -UNW_ENOINFO;
	table.start_ip = tables.start;
	table.end_ip = tables.end;
	table.u.rti.segbase = tables.header;
	table.u.rti.table_data = tables.header + sizeof(head);
	table.u.rti.table_len = head.count * 8ull / sizeof(unw_word_t);
	return search_table(space, ip, &table, out, need_unwind_info, context);
}

/* ---- what libunwind asks ------------------------------------------------------- */

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *context)
{
	(void)space, (void)info, (void)context;
}

static int get_dyn_info_list(unw_addr_space_t space, unw_word_t *address, void *context)
{
	(void)space, (void)address, (void)context;
	return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write,
		      void *context)
{
	const struct unwinder *u = context;

	(void)space;
	if (write || !read_memory(u->pid, address, value, sizeof(*value)))
		return -UNW_EINVAL;
	return 0;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int write,
		      void *context)
{
	const struct unwinder *u = context;
	uint64_t found;

	(void)space;
	if (write || !registers_get(&u->registers, number, &found))
		return -UNW_EBADREG;
	*value = found;
	return 0;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value, int write,
			void *context)
{
	(void)space, (void)number, (void)value, (void)write, (void)context;
	return -UNW_EBADREG;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *context)
{
	(void)space, (void)cursor, (void)context;
	return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t space, unw_word_t address, char *buffer, size_t size,
			 unw_word_t *offset, void *context)
{
	(void)space, (void)address, (void)buffer, (void)size, (void)offset, (void)context;
	return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = get_dyn_info_list,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = access_fpreg,
	.resume = resume,
	.get_proc_name = get_proc_name,
};

struct unwinder *unwind_open(pid_t pid)
{
	struct unwinder *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->pid = pid;
	u->space = unw_create_addr_space(&accessors, 0);
	if (!u->space || maps_read(pid, &u->maps)) {
		int saved = u->space ? errno : ENOMEM;

		unwind_close(u);
		errno = saved;
		return NULL;
	}
	return u;
}

void unwind_close(struct unwinder *u)
{
	if (u->space)
		unw_destroy_addr_space(u->space);
	maps_free(&u->maps);
	free(u);
}

/* ---- walking --------------------------------------------------------------------- */

static void walk(struct unwinder *u, struct unwound *out)
{
	unw_cursor_t cursor;
	unw_word_t ip;
	int more = 1;

	out->count = 0;
	out->frames[out->count++] = u->registers.pc;
	if (unw_init_remote(&cursor, u->space, u))
		return;
	while (out->count < UNWIND_FRAMES && (more = unw_step(&cursor)) > 0) {
		if (unw_get_reg(&cursor, UNW_REG_IP, &ip) || !ip)
			break;
		out->frames[out->count++] = ip;
	}
	out->whole = more == 0 || (more > 0 && out->count < UNWIND_FRAMES);
}

static bool is_still_there(pid_t pid, pid_t tid, const struct thread_place *before)
{
	struct thread_place now;

	thread_look(pid, tid, &now);
	return now.where == before->where && now.sp == before->sp && now.pc == before->pc;
}

#define ATTEMPTS 5
#define MOVING                                                                                     \
	((struct thread_place){.where = THREAD_RUNNING, .state = 'R', .number = -1, .polled = -1})

static bool is_same_stack(const struct unwound *a, const struct unwound *b)
{
	return a->count == b->count && !memcmp(a->frames, b->frames, a->count * sizeof(*a->frames));
}

/*
 * It may wake up and move on while we read its memory, and even come back: then we try again. Some
 * wake up many times without leaving their system call: two equal stacks in a row will do.
 */
static void look_at(struct unwinder *u, pid_t tid, struct unwound *out)
{
	struct unwound before = {0};

	for (int i = 0; i < ATTEMPTS; i++) {
		uint64_t waits = thread_waits(u->pid, tid);

		*out = (struct unwound){0};
		thread_look(u->pid, tid, &out->place);
		if (out->place.where != THREAD_SYSCALL && out->place.where != THREAD_BLOCKED)
			return;
		u->registers = (struct registers){.sp = out->place.sp, .pc = out->place.pc};
		walk(u, out);
		if (is_still_there(u->pid, tid, &out->place) &&
		    (thread_waits(u->pid, tid) == waits || is_same_stack(out, &before)))
			return;
		before = *out;
	}
	*out = (struct unwound){.place = MOVING};
}

/* Once detached, it continues by itself. */
static int stop_and_look(struct unwinder *u, pid_t tid, struct unwound *out)
{
	int status = 0, result = -1, saved;

	*out = (struct unwound){0};
	thread_look(u->pid, tid, &out->place);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return -1;
	if (!ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) && waitpid(tid, &status, __WALL) == tid &&
	    WIFSTOPPED(status) && !registers_read(tid, &u->registers)) {
		if (out->place.sp != u->registers.sp || out->place.pc != u->registers.pc)
			out->place = MOVING;
		walk(u, out);
		result = 0;
	}
	saved = errno;
	/* pass on a signal that arrived at the same moment */
	if (WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_STOP)
		ptrace(PTRACE_DETACH, tid, NULL, (void *)(uintptr_t)WSTOPSIG(status));
	else
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
	errno = saved;
	return result;
}

int unwind_thread(struct unwinder *u, pid_t tid, bool stop, struct unwound *out)
{
	if (stop)
		return stop_and_look(u, tid, out);
	look_at(u, tid, out);
	return 0;
}
