/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlstall look at a hostile process: its memory contains arbitrary bytes, and the child that runs its
 * functions returns arbitrary values, requests arbitrary pages, and sends unknown or truncated messages. The
 * input is an ELF file that is loaded into that memory; the rest is derived from it.
 *
 * The seed `library-with-accessors` defines the functions that a libssl must have, and nothing else: compile
 * `void f(void) {}` for BIO_new and each row of accessors.def and ops.def with -shared -nostdlib -fno-asynchronous-unwind-tables
 * -Wl,--hash-style=gnu,--build-id=none,-z,noseparate-code.
 */
#include "everything.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "look/child.h"
#include "look/look.h"
#include "look/memory.h"
#include "look/names.h"
#include "look/stub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE 0x100000ull  /* address of the loaded file */
#define ROOM 0x40000ull	   /* bytes for it */
#define METHOD (IMAGE + 0x1800)   /* the SSL_METHOD of objects */
#define NAME (IMAGE + 0x20000)	   /* strings */
#define HEAP 0x200000ull   /* objects */
#define HEAP_WORDS 512u
#define NOBODY INT_MAX	   /* a process id that does not exist */
#define WORDS_MOST 200u	   /* messages of one child */

static int memory = -1;
static uint64_t random_state;
static size_t sum; /* uses what was read, so that the compiler cannot drop it */

static uint64_t next(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % limit;
}

/* ---- the child --------------------------------------------------------------------- */

static uint64_t any_value(void)
{
	static const uint64_t telling[] = {0, 1, 2, 3, 7, 0x304, 0x1ffff, 0x7fffffff, UINT32_MAX, INT64_MAX, UINT64_MAX};

	switch (next(8)) {
	case 0:
		return random_state;
	case 1:
		return IMAGE + next(ROOM);
	case 2:
	case 3:
		return HEAP + 8 * next(HEAP_WORDS);
	default:
		return telling[next(sizeof(telling) / sizeof(*telling))];
	}
}

static uint64_t any_kind(void)
{
	static const uint64_t others[] = {STUB_PAGE, STUB_PAGE, STUB_FAULT, STUB_SYSCALL, STUB_READY, 0, 99, UINT64_MAX};

	return next(16) ? STUB_RETURNED : others[next(sizeof(others) / sizeof(*others))];
}

/* Answers of a client on a socket, in the order of the questions: accepted as an SSL object. */
static const uint64_t believed[] = {
	HEAP + 8 * 9 /* SSL_CTX */, 1 /* SSL_in_init */, 0, 0, 3 /* SSL_want */, 0x304, NAME, NAME + 40,
	HEAP, HEAP, 0 /* BIO_next */, 0x505, NAME + 80, NAME + 90, 1234, 567, 2 /* SSL_get_rfd */, 1 /* SSL_up_ref */,
};

/* Sends all messages of the child, which then ends; it reads nothing. */
static void talk(int channel)
{
	struct stub_word words[2] = {{.kind = next(64) ? STUB_READY : any_kind()}};
	uint64_t odd = 2 + next(40);

	for (unsigned i = 0; i < WORDS_MOST; i++) {
		size_t size = next(256) ? sizeof(*words) : next(sizeof(words) + 1);

		if (send(channel, words, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		words[0] = (struct stub_word){STUB_RETURNED, believed[i % (sizeof(believed) / sizeof(*believed))]};
		if (!next(odd))
			words[0] = (struct stub_word){any_kind(), any_value()};
	}
	shutdown(channel, SHUT_WR);
}

static int other_end = -1; /* of the last child's channel */

static void end_talk(void)
{
	if (other_end >= 0)
		close(other_end);
	other_end = -1;
}

pid_t __wrap_stub_start(pid_t pid, const struct regions *regions, int *channel);
int __wrap_kill(pid_t pid, int number);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);

pid_t __wrap_stub_start(pid_t pid, const struct regions *regions, int *channel)
{
	int ends[2];

	(void)pid, (void)regions;
	end_talk();
	if (!next(64) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;
	talk(ends[1]);
	other_end = ends[1];
	*channel = ends[0];
	return NOBODY;
}

int __wrap_kill(pid_t pid, int number)
{
	(void)number;
	return pid == NOBODY ? 0 : -1;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
	(void)status, (void)options;
	return pid;
}

/* ---- the process ------------------------------------------------------------------------- */

int __wrap_kernel_access(pid_t pid, char *why, size_t size);
int __wrap_memory_open(pid_t pid);
int __wrap_regions_read(pid_t pid, struct regions *out);
int __wrap_sockets_read(pid_t pid, struct process_sockets *out);
int __wrap_threads_read(pid_t pid, int of, const struct libraries *libraries, struct process_threads *out);

int __wrap_kernel_access(pid_t pid, char *why, size_t size)
{
	(void)pid, (void)why, (void)size;
	return 0;
}

int __wrap_memory_open(pid_t pid)
{
	(void)pid;
	return dup(memory);
}

int __wrap_regions_read(pid_t pid, struct regions *out)
{
	(void)pid;
	*out = (struct regions){calloc(2, sizeof(*out->list)), 2};
	if (!out->list)
		abort();
	out->list[0] = (struct region){IMAGE, IMAGE + ROOM, .readable = true, .path = strdup("/usr/lib/libssl.so.3")};
	out->list[1] = (struct region){HEAP, HEAP + 8 * HEAP_WORDS, .readable = true, .writable = true, .path = strdup("[heap]")};
	return 0;
}

int __wrap_sockets_read(pid_t pid, struct process_sockets *out)
{
	(void)pid;
	*out = (struct process_sockets){calloc(4, sizeof(*out->list)), 4, (uint32_t)next(9)};
	for (unsigned i = 0; out->list && i < out->count; i++) {
		struct process_socket *socket = &out->list[i];

		socket->inode = 4 + i;
		socket->fd = (int)next(4);
		socket->accepted = next(2);
		socket->now.ticks = next(2);
		socket->now.bytes_received = any_value();
		socket->now.bytes_acked = any_value();
		socket->now.tcp_state = (uint8_t)next(13);
	}
	return out->list ? 0 : -1;
}

int __wrap_threads_read(pid_t pid, int of, const struct libraries *libraries, struct process_threads *out)
{
	(void)libraries;
	*out = (struct process_threads){pid, of, calloc(3, sizeof(*out->list)), 3};
	for (unsigned i = 0; out->list && i < out->count; i++) {
		struct process_thread *thread = &out->list[i];

		thread->tid = thread->own = NOBODY;
		thread->unwound.count = (unsigned)next(UNWIND_FRAMES + 1);
		for (unsigned k = 0; k < thread->unwound.count; k++)
			thread->unwound.frames[k] = any_value();
		thread->unwound.place.sp = HEAP + 8 * next(HEAP_WORDS);
		thread->in_library = (int)next(thread->unwound.count + 1) - 1;
		thread->op = (enum op)next(OPS + 1);
	}
	return out->list ? 0 : -1;
}

/* ---- its memory ---------------------------------------------------------------- */

static void put(const void *bytes, size_t size, uint64_t address)
{
	if (pwrite(memory, bytes, size, (off_t)address) != (ssize_t)size)
		abort();
}

/* Puts the segments where the program headers say, as far as there is room. */
static void load(const uint8_t *data, size_t size)
{
	static const uint32_t version = 0x304;
	Elf64_Ehdr head;
	Elf64_Phdr part;

	put(data, size < ROOM ? size : ROOM, IMAGE);
	memcpy(&head, data, sizeof(head));
	for (unsigned i = 0; i < head.e_phnum && i < 64; i++) {
		uint64_t at = head.e_phoff + i * sizeof(part);

		if (head.e_phoff > size || at > size || size - at < sizeof(part))
			break;
		memcpy(&part, data + at, sizeof(part));
		if (part.p_type == PT_LOAD && part.p_offset < size && part.p_filesz <= size - part.p_offset &&
		    part.p_vaddr < ROOM && part.p_filesz <= ROOM - part.p_vaddr)
			put(data + part.p_offset, part.p_filesz, IMAGE + part.p_vaddr);
	}
	put(&version, sizeof(version), METHOD);
	put(data + next(size - 200), 200, NAME);
}

/* Some words look like an SSL: version and method (up to 3.1), or type, SSL_CTX and methods. */
static void fill_heap(const uint8_t *data, size_t size)
{
	uint64_t heap[HEAP_WORDS];

	for (unsigned i = 0; i < HEAP_WORDS; i++) {
		heap[i] = any_value();
		if (!next(4))
			memcpy(&heap[i], data + next(size - sizeof(*heap)), sizeof(*heap));
	}
	for (unsigned i = 8; i + 4 < HEAP_WORDS; i += 16) {
		heap[i] = next(2) ? 0x304 : 0;
		heap[i + 1] = heap[i] ? METHOD : HEAP + 8 * next(HEAP_WORDS);
		heap[i + 2] = METHOD;
	}
	put(heap, sizeof(heap), HEAP);
}

/* ---- looks ---------------------------------------------------------------------------------- */

static void use(const struct look *look)
{
	struct trace *trace = look_trace(look);
	struct kernel_view view;

	for (unsigned i = 0; i <= look->in_handshake; i++) {
		look_view(look, i, &view);
		sum += view.wait;
	}
	if (!trace)
		return;
	sum += look_at_everything(trace);
	trace_close(trace);
}

static void look_twice(const uint8_t *data, size_t size)
{
	struct look before, later;
	char why[128];

	load(data, size);
	fill_heap(data, size);
	if (look_take(NOBODY, &before, why, sizeof(why)))
		return;
	use(&before);
	if (!look_take(NOBODY, &later, why, sizeof(why))) {
		look_compare(&before, &later);
		sum += look_is_undated(&later);
		use(&later);
		look_free(&later);
	}
	look_free(&before);
	end_talk();
}

/* Reads .symtab of the mapped file through /proc/PID/map_files, which requires privileges. */
static void read_names(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, memory, 0);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct region region = {.start = (uintptr_t)map, .end = (uintptr_t)map + (size + page - 1) / page * page, .path = ""};
	struct names names;

	if (map == MAP_FAILED)
		return;
	names_read(getpid(), &region, &names);
	sum += names_find(&names, "SSL_connect") != NULL;
	names_free(&names);
	munmap(map, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* no library is found in anything else */
	if (size < 512 || size > ROOM || memcmp(data, ELFMAG, SELFMAG) != 0)
		return 0;
	random_state = 88172645463325252ull;
	for (size_t i = 0; i < size && i < 4096; i++)
		random_state = (random_state ^ data[i]) * 1099511628211ull;
	random_state |= 1;
	memory = memfd_create("fuzz", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, HEAP + 8 * HEAP_WORDS))
		abort();
	look_twice(data, size);
	close(memory);
	memory = memfd_create("fuzz", MFD_CLOEXEC);
	if (memory < 0 || write(memory, data, size) != (ssize_t)size)
		abort();
	read_names(size);
	close(memory);
	return 0;
}
