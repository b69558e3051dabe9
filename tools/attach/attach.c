/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/errand.h"
#include "attach/jumps.h"
#include "attach/place.h"
#include "attach/program.h"
#include "now.h"
#include "tlstall/trace.h"

static const char *words_of(uint64_t result)
{
	static const char *const words[] = {
#define X(name, text) text,
		TLSTALL_ATTACH_RESULTS(X)
#undef X
	};

	return result < sizeof(words) / sizeof(*words) ? words[result] : "the shim refused";
}

/* ---- the library ----------------------------------------------------------------------- */

static int copy_into(int from, int to)
{
	char buffer[65536];
	ssize_t got;

	while ((got = read(from, buffer, sizeof(buffer))) > 0) {
		if (write(to, buffer, (size_t)got) != got)
			return -1;
	}
	return got ? -1 : 0;
}

static int fill_file(const struct attach *attach, int there)
{
	char path[64];
	int from = open(attach->shim, O_RDONLY | O_CLOEXEC), to, result = -1;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", attach->pid, there);
	to = open(path, O_WRONLY | O_CLOEXEC);
	if (from >= 0 && to >= 0)
		result = copy_into(from, to);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return result;
}

/* The library's path as that process sees it. If it sees none, that of an anonymous file. */
static int name_library(const struct attach *attach, struct errand *errand, struct stub_page *page,
			char *why, size_t size)
{
	if (place_is_same(attach->pid, attach->shim)) {
		snprintf(page->path, sizeof(page->path), "%s", attach->shim);
		return 0;
	}
	snprintf(page->path, sizeof(page->path), "libtlstall.so");
	if (errand_order(errand, page, STUB_OPEN_FILE, why, size))
		return -1;
	if (page->file < 0 || fill_file(attach, page->file)) {
		snprintf(why, size, "process %d does not see %s, and cannot be given it: %s",
			 attach->pid, attach->shim,
			 strerror(page->file < 0 ? -page->file : errno));
		return -1;
	}
	snprintf(page->path, sizeof(page->path), "/proc/self/fd/%d", page->file);
	return 0;
}

/* ---- in and out -------------------------------------------------------------------------- */

static void fill_page(const struct program *program, const char *entry, uint64_t address,
		      struct stub_page *page)
{
	*page = (struct stub_page){
		.open = program->dlopen,
		.symbol = program->dlsym,
		.error = program->dlerror,
		.entry = address,
		.arguments = {.version = TLSTALL_ATTACH_VERSION, .mode = TLSTALL_MODE_ALL},
	};
	snprintf(page->entry_name, sizeof(page->entry_name), "%s", entry);
}

/* Converts how long ago they were found into a time. */
static void fill_adopted(const struct attach *attach, struct tlstall_attach *arguments)
{
	uint64_t since = now_ns(CLOCK_MONOTONIC) - attach->adopted_ns;

	arguments->adopted_count = attach->adopted_count;
	for (unsigned i = 0; i < attach->adopted_count; i++) {
		arguments->adopted[i] = attach->adopted[i];
		arguments->adopted[i].begun_ns += since;
	}
}

static int refused(const struct attach *attach, const struct stub_page *page, char *why,
		   size_t size)
{
	if (!page->entry)
		snprintf(why, size, "process %d cannot load %s: %.400s", attach->pid, attach->shim,
			 page->message);
	else
		snprintf(why, size, "process %d: %s", attach->pid, words_of(page->result));
	return -1;
}

static int come_in(struct attach *attach, struct errand *errand, char *why, size_t size)
{
	struct program *program = errand->program;
	struct stub_page page;
	enum stub_order order = program->has_shim ? STUB_CALL : STUB_LOAD;

	fill_page(program, "tlstall_attach", program->attach, &page);
	snprintf(page.arguments.directory, sizeof(page.arguments.directory), "%s", attach->seen);
	page.arguments.is_private = attach->made;
	fill_adopted(attach, &page.arguments);
	if ((!program->has_shim && name_library(attach, errand, &page, why, size)) ||
	    errand_order(errand, &page, order, why, size))
		return -1;
	if (!page.entry || page.result != TLSTALL_ATTACH_DONE)
		return refused(attach, &page, why, size);
	return 0;
}

static int go_out(struct attach *attach, struct errand *errand, char *why, size_t size)
{
	struct stub_page page;

	fill_page(errand->program, "tlstall_detach", errand->program->detach, &page);
	if (errand_order(errand, &page, STUB_CALL, why, size))
		return -1;
	return page.result == TLSTALL_ATTACH_DONE ? 0 : refused(attach, &page, why, size);
}

typedef int errand_function(struct attach *attach, struct errand *errand, char *why, size_t size);

static int run_errand(struct attach *attach, struct program *program, errand_function *function,
		      char *why, size_t size)
{
	struct errand errand;
	int result;

	if (errand_begin(program, &errand, why, size))
		return -1;
	attach->stopped_ns += errand.stopped_ns;
	result = function(attach, &errand, why, size);
	errand_end(&errand);
	return result;
}

/* For OpenSSL inside the program: the last step of attaching, and the first of detaching. */
static int lead_in(struct attach *attach, struct program *program, char *why, size_t size)
{
	uint64_t stopped_ns = 0;
	char ignored[64];

	if (program_again(program, why, size))
		return -1;
	if (jumps_write(program, true, &stopped_ns, why, size)) {
		run_errand(attach, program, go_out, ignored, sizeof(ignored));
		return -1;
	}
	attach->stopped_ns += stopped_ns;
	return 0;
}

static int lead_out(struct attach *attach, const struct program *program, char *why, size_t size)
{
	uint64_t stopped_ns = 0;
	int result = jumps_write(program, false, &stopped_ns, why, size);

	attach->stopped_ns += stopped_ns;
	return result;
}

/* ---- what is there already ------------------------------------------------------------------ */

static int say(const struct attach *attach, char *why, size_t size, uint64_t result)
{
	snprintf(why, size, "process %d: %s", attach->pid, words_of(result));
	return -1;
}

static int check_shim(const struct attach *attach, const struct program *program, char *why,
		      size_t size)
{
	if (!program->has_shim || program->state.state == TLSTALL_DETACHED)
		return 0;
	return say(attach, why, size,
		   program->state.state == TLSTALL_ATTACHED ? TLSTALL_ATTACH_ALREADY
							    : TLSTALL_ATTACH_PRELOADED);
}

int attach_check(const struct attach *attach, char *why, size_t size)
{
	struct program program;
	int result;

	if (program_open(attach->pid, attach->force, &program, why, size))
		return -1;
	result = check_shim(attach, &program, why, size);
	program_close(&program);
	return result;
}

int attach_prepare(struct attach *attach, char *why, size_t size)
{
	return place_make(attach, why, size);
}

void attach_clear(const struct attach *attach)
{
	place_remove(attach);
}

int attach_begin(struct attach *attach, char *why, size_t size)
{
	struct program program;
	int result;

	if (program_open(attach->pid, attach->force, &program, why, size))
		return -1;
	result = check_shim(attach, &program, why, size);
	if (!result)
		result = run_errand(attach, &program, come_in, why, size);
	if (!result && program.inside)
		result = lead_in(attach, &program, why, size);
	program_close(&program);
	return result;
}

bool attach_is_watched(const struct attach *attach)
{
	return place_is_watched(attach->place);
}

int attach_end(struct attach *attach, char *why, size_t size)
{
	struct program program;
	int result;

	if (program_open(attach->pid, true, &program, why, size))
		return -1;
	place_from_here(attach->pid, program.state.directory, attach->place, sizeof(attach->place));
	if (!program.has_shim || program.state.state != TLSTALL_ATTACHED)
		result = say(attach, why, size, TLSTALL_ATTACH_NOT_ATTACHED);
	else if (!(result = lead_out(attach, &program, why, size)))
		result = run_errand(attach, &program, go_out, why, size);
	program_close(&program);
	return result;
}
