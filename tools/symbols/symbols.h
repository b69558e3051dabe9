/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses into names, by elfutils' libdwfl. Never prints. */
#ifndef TOOLS_SYMBOLS_SYMBOLS_H
#define TOOLS_SYMBOLS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace/reader.h"

struct symbols;

struct symbol {
	const char *function; /* NULL: not known */
	const char *module;   /* base name of the file, NULL: not known */
	const char *file;     /* source file's base name, NULL: no line information */
	int line;
	uint64_t offset; /* from the function's start, else from the module's */
};

/* Of the modules that a trace lists; a file whose build id differs is not used. NULL: no memory. */
struct symbols *symbols_of_trace(struct trace *trace);
/* Of a live process. */
struct symbols *symbols_of_process(pid_t pid);
void symbols_free(struct symbols *symbols);

/*
 * Looks an address up; `is_return` steps back into the call instruction. The
 * strings live until symbols_free(). False: lies in no module.
 */
bool symbols_find(struct symbols *symbols, uint64_t address, bool is_return, struct symbol *out);
/* A return address of a trace's stack, which may say which of several modules it is in. */
bool symbols_find_frame(struct symbols *symbols, const struct tlstall_stack *stack, unsigned frame,
			struct symbol *out);

/* "curl_multi_perform+0x41 (libcurl.so.4.8.0)", "main at blocking.c:17 (blocking)"; always terminated. */
void symbols_format(const struct symbol *symbol, uint64_t address, char *buffer, size_t size);

#endif
