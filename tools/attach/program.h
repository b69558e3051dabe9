/* SPDX-License-Identifier: Apache-2.0 */
/* The program to attach to: addresses in it, and reasons not to attach. Changes nothing. */
#ifndef TOOLS_ATTACH_PROGRAM_H
#define TOOLS_ATTACH_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/unwind.h"
#include "look/image.h"
#include "look/regions.h"
#include "tlstall/attach.h"

/* Code that a thread must not be found in. */
struct unsafe {
	uint64_t start, end;
	const char *what;
};
#define UNSAFE 32

struct program {
	pid_t pid;
	int memory; /* to be read and written */
	struct regions regions;
	struct unwinder *unwinder;
	/* functions of libc, by their names */
	uint64_t pthread_create, pthread_detach, munmap, dlopen, dlsym, dlerror;
	struct unsafe unsafe[UNSAFE];
	unsigned unsafe_count;

	bool has_libc;
	bool inside; /* it has OpenSSL as a part of it */
	bool has_shim;
	uint64_t attachment, attach, detach; /* of that: addresses */
	struct tlstall_attachment state;
};

/* Returns 0, or -1 and a sentence without a full stop. `force`: accept a seccomp filter. */
int program_open(pid_t pid, bool force, struct program *out, char *why, size_t size);
void program_close(struct program *program);
/* Looks again, once the shim was loaded. */
int program_again(struct program *program, char *why, size_t size);
/* Why a thread in that code must not be used; NULL: it may be. */
const char *program_unsafe(const struct program *program, uint64_t address);

bool program_write(const struct program *program, uint64_t address, const void *from, size_t size);

#endif
