/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/obstacles.h"
#include "check/object.h"
#include "kernel/thread.h"
#include "look/library.h"
#include "look/memory.h"

/* ---- what is loaded ------------------------------------------------------------------ */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void add_unsafe(struct program *p, uint64_t start, uint64_t end, const char *what)
{
	if (start && p->unsafe_count < UNSAFE)
		p->unsafe[p->unsafe_count++] = (struct unsafe){start, end, what};
}

/* malloc's static functions lie around those that it exports. */
#define AROUND_BEFORE 0x4000u
#define AROUND_BEHIND 0x400u

static void add_allocator(struct program *p, const struct image *image)
{
	static const char *const names[] = {"malloc",	   "free",	   "calloc",   "realloc",
					    "memalign",	   "malloc_trim",  "pvalloc",  "valloc",
					    "aligned_alloc", "mallinfo2",  "malloc_usable_size"};
	uint64_t least = UINT64_MAX, most = 0, size;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint64_t at = image_function(image, names[i], &size);

		if (at && at < least)
			least = at;
		if (at && at + size > most)
			most = at + size;
	}
	if (most)
		add_unsafe(p, least - AROUND_BEFORE, most + AROUND_BEHIND,
			   "allocates memory");
}

static void take_function(const struct image *image, const char *name, uint64_t *to)
{
	uint64_t size;

	if (!*to)
		*to = image_function(image, name, &size);
}

static void add_function(struct program *p, const struct image *image, const char *name,
			 const char *what)
{
	uint64_t size, at = image_function(image, name, &size);

	add_unsafe(p, at, at + size, what);
}

/* The code that a signal handler returns to: mov $15, %rax; syscall. */
static void add_handlers(struct program *p, const struct region *region)
{
	static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	size_t size = region->end - region->start;
	uint8_t *bytes = malloc(size), *found;

	if (bytes && memory_read(p->memory, region->start, bytes, size)) {
		found = memmem(bytes, size, code, sizeof(code));
		if (found)
			add_unsafe(p, region->start + (uint64_t)(found - bytes) - 1,
				   region->start + (uint64_t)(found - bytes) + sizeof(code),
				   "handles a signal");
	}
	free(bytes);
}

/* Up to glibc 2.33, libc consists of these three libraries. */
static bool is_libc(const char *name)
{
	return !strcmp(name, "libc.so.6") || !strcmp(name, "libpthread.so.0") ||
	       !strcmp(name, "libdl.so.2");
}

static void take_libc(struct program *p, const struct image *image)
{
	p->has_libc = true;
	take_function(image, "pthread_create", &p->pthread_create);
	take_function(image, "pthread_detach", &p->pthread_detach);
	take_function(image, "munmap", &p->munmap);
	take_function(image, "dlopen", &p->dlopen);
	take_function(image, "dlsym", &p->dlsym);
	take_function(image, "dlerror", &p->dlerror);
	add_function(p, image, "fork", "forks");
	add_function(p, image, "_Fork", "forks");
	add_function(p, image, "exit", "exits");
	add_function(p, image, "pthread_create", "makes a thread");
	add_function(p, image, "pthread_exit", "ends");
	for (unsigned i = 0; i < p->regions.count; i++) {
		const struct region *region = &p->regions.list[i];

		if (region->executable && region->start >= image->start &&
		    region->end <= image->end)
			add_handlers(p, region);
	}
}

static void take_shim(struct program *p, const struct image *image)
{
	uint64_t size;

	p->has_shim = true;
	p->attachment = image_object(image, "tlstall_attachment", &size);
	p->attach = image_function(image, "tlstall_attach", &size);
	p->detach = image_function(image, "tlstall_detach", &size);
	if (!p->attachment || !memory_read(p->memory, p->attachment, &p->state, sizeof(p->state)))
		memset(&p->state, 0, sizeof(p->state));
	p->state.directory[sizeof(p->state.directory) - 1] = '\0';
}

static void take_image(struct program *p, const struct region *region, const struct image *image)
{
	char name[IMAGE_NAME] = "";

	if (image->name)
		memory_text(image->memory, image->name, name, sizeof(name));
	if (!strncmp(name, "ld-linux", 8) || !strncmp(base_name(region->path), "ld-", 3))
		add_unsafe(p, image->start, image->end, "loads libraries");
	else if (!strcmp(name, "libtlstall.so"))
		take_shim(p, image);
	else
		add_allocator(p, image);
	if (is_libc(name))
		take_libc(p, image);
}

/* ---- what is missing ------------------------------------------------------------------- */

static bool is_musl(const char *path)
{
	return !strncmp(base_name(path), OBJECT_MUSL_LOADER, strlen(OBJECT_MUSL_LOADER));
}

/*
 * The loader by the name that the program has for it, which may be a link to a file of another
 * name; "": none.
 */
static void loader_of(pid_t pid, char *name, size_t size)
{
	struct object object = {0};
	char path[32];
	int fd;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!object_read(fd, &object) && object.interpreter)
		snprintf(name, size, "%s", object.interpreter);
	object_free(&object);
	close(fd);
}

static bool runs_under_musl(const struct program *p)
{
	char loader[PATH_MAX];

	for (unsigned i = 0; i < p->regions.count; i++) {
		if (is_musl(p->regions.list[i].path))
			return true;
	}
	loader_of(p->pid, loader, sizeof(loader));
	return is_musl(loader);
}

static bool has_ended(pid_t pid)
{
	struct thread_place place;

	thread_look(pid, pid, &place);
	return place.where == THREAD_GONE;
}

/* A process that has ended has no mappings left. */
static int refuse(const struct program *p, char *why, size_t size, const char *what)
{
	if (has_ended(p->pid))
		snprintf(why, size, "process %d has ended", p->pid);
	else
		snprintf(why, size, "process %d %s (tlstall check %d says more)", p->pid, what,
			 p->pid);
	return -1;
}

/*
 * Whether it is the program itself: a library may be unloaded while its functions lead to the shim.
 */
static bool is_program(const struct program *p, const struct libssl_copy *library)
{
	char path[32], program[PATH_MAX];
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%d/exe", p->pid);
	got = readlink(path, program, sizeof(program) - 1);
	program[got > 0 ? got : 0] = '\0';
	return !library->alone && !strcmp(program, library->path);
}

static int find_libssl(struct program *p, char *why, size_t size)
{
	char loader[PATH_MAX];
	struct libraries libraries;
	bool alone = false;

	libraries_find(p->pid, p->memory, &p->regions, &libraries);
	if (libraries.starved) {
		snprintf(why, size, "process %d: %s", p->pid, strerror(ENOMEM));
		return -1;
	}
	for (unsigned i = 0; i < libraries.count; i++) {
		p->inside |= is_program(p, &libraries.list[i]);
		alone |= libraries.list[i].alone;
	}
	if (alone || p->inside)
		return 0;
	if (libraries.count)
		return refuse(p, why, size,
			      "has OpenSSL inside a library, which can be traced only from its start "
			      "(tlstall run)");
	if (libraries.foreign)
		return refuse(p, why, size, "has a libssl that is not OpenSSL 1.1.1 or later");
	if (p->has_libc)
		return refuse(p, why, size, "has no libssl");
	loader_of(p->pid, loader, sizeof(loader));
	return refuse(p, why, size,
		      loader[0] ? "has not loaded its libraries yet" : "is statically linked");
}

/* Reads what is mapped and loaded now. */
static int program_read(struct program *p, char *why, size_t size)
{
	regions_free(&p->regions);
	p->unsafe_count = 0;
	if (regions_read(p->pid, &p->regions)) {
		snprintf(why, size, "process %d: %s", p->pid, strerror(errno));
		return -1;
	}
	for (unsigned i = 0; i < p->regions.count; i++) {
		const struct region *region = &p->regions.list[i];
		struct image image;

		if (region->path[0] == '/' && !region->offset && region->readable &&
		    image_read(p->memory, region->start, &image))
			take_image(p, region, &image);
	}
	return 0;
}

static int examine(struct program *p, char *why, size_t size)
{
	if (program_read(p, why, size))
		return -1;
	if (runs_under_musl(p))
		return refuse(p, why, size, "runs under musl");
	if (find_libssl(p, why, size))
		return -1;
	if (!p->pthread_create || !p->pthread_detach || !p->munmap || !p->dlopen || !p->dlsym || !p->dlerror)
		return refuse(p, why, size,
			      "has no pthread_create or dlopen (before glibc 2.34 they are in libpthread and "
			      "libdl, which it has not loaded) and can be traced only from its start");
	if (p->has_shim && (!p->attachment || p->state.version != TLSTALL_ATTACH_VERSION))
		return refuse(p, why, size, "has a libtlstall.so of another version");
	p->unwinder = unwind_open(p->pid);
	if (!p->unwinder)
		return refuse(p, why, size, "has stacks that cannot be read");
	return 0;
}

int program_open(pid_t pid, bool force, struct program *out, char *why, size_t size)
{
	char path[32];

	*out = (struct program){.pid = pid, .memory = -1};
	if (obstacles_look(pid, force, why, size))
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	out->memory = open(path, O_RDWR | O_CLOEXEC);
	if (out->memory < 0) {
		snprintf(why, size, "the memory of process %d: %s", pid, strerror(errno));
		return -1;
	}
	if (!examine(out, why, size))
		return 0;
	program_close(out);
	return -1;
}

int program_again(struct program *program, char *why, size_t size)
{
	return program_read(program, why, size);
}

void program_close(struct program *program)
{
	if (program->memory >= 0)
		close(program->memory);
	program->memory = -1;
	regions_free(&program->regions);
	if (program->unwinder)
		unwind_close(program->unwinder);
	program->unwinder = NULL;
}

const char *program_unsafe(const struct program *program, uint64_t address)
{
	for (unsigned i = 0; i < program->unsafe_count; i++) {
		const struct unsafe *unsafe = &program->unsafe[i];

		if (address >= unsafe->start && address < unsafe->end)
			return unsafe->what;
	}
	return NULL;
}

bool program_write(const struct program *program, uint64_t address, const void *from, size_t size)
{
	return pwrite(program->memory, from, size, (off_t)address) == (ssize_t)size;
}
