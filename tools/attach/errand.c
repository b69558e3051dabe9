/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/errand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach/aside.h"
#include "attach/obstacles.h"
#include "attach/waiting.h"
#include "look/memory.h"
#include "now.h"

#define MS 1000000l
/* How long to look for a suitable thread. */
#define SEARCH_S 5
/* Time for the program's own part of it: it may load libraries from a slow disk. */
#define ANSWER_MS 10000
/* Time for the thread that was led to be seen elsewhere. */
#define LEAVE_MS 1000

static void rest(void)
{
	nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
}

/* ---- room ------------------------------------------------------------------------------ */

static struct code code_of(uint64_t at)
{
	return (struct code){at, at + (uint64_t)(__stop_attach_stub - __start_attach_stub)};
}

/*
 * Code left by a tool that was killed may be replaced once no thread can be inside it; one that has
 * not started it by this time never will.
 */
#define LEFT_NS 1000000000ull

static bool is_left(const struct program *program, uint64_t at, const uint8_t *bytes, size_t size)
{
	struct stub_words words;

	memcpy(&words, bytes, sizeof(words));
	return !memcmp(bytes + sizeof(words), __start_attach_stub + sizeof(words),
		       size - sizeof(words)) &&
	       now_ns(CLOCK_MONOTONIC) - words.made_ns > LEFT_NS &&
	       !regions_find(&program->regions, words.page) &&
	       !waiting_any_may_return(program, code_of(at));
}

/* After a library's code, where its last page is padded with zeros. */
static uint64_t find_code_room(const struct program *program, size_t size)
{
	uint8_t bytes[4096];
	static const uint8_t zeros[sizeof(bytes)];

	for (unsigned i = 0; i < program->regions.count; i++) {
		const struct region *region = &program->regions.list[i];
		uint64_t at = (region->end - size) & ~63ull;

		if (!region->executable || region->writable || region->path[0] != '/' ||
		    region->end - at > sizeof(bytes) ||
		    !memory_read(program->memory, at, bytes, region->end - at))
			continue;
		if (!memcmp(bytes, zeros, region->end - at) || is_left(program, at, bytes, size))
			return at;
	}
	return 0;
}

/*
 * In the middle of the largest unmapped area: the kernel and malloc() map at its ends, even while we
 * are on our way.
 */
static uint64_t find_page_room(const struct program *program)
{
	uint64_t largest = 2 * STUB_PAGE, room = 0;

	for (unsigned i = program->regions.count; i-- > 1;) {
		uint64_t start = program->regions.list[i - 1].end;
		uint64_t end = program->regions.list[i].start;

		if (end < 1ull << 47 && end - start > largest) {
			largest = end - start;
			room = (start + largest / 2) & ~(uint64_t)(STUB_PAGE - 1);
		}
	}
	return room;
}

/* ---- begin ------------------------------------------------------------------------------- */

static int say(const struct errand *errand, char *why, size_t size, const char *what)
{
	snprintf(why, size, "process %d %s", errand->program->pid, what);
	return -1;
}

static bool is_alive(const struct errand *errand)
{
	char byte;

	return memory_read(errand->program->memory, errand->code, &byte, 1);
}

static int lead_somebody(struct errand *errand, const struct stub_words *words, char *why,
			 size_t size)
{
	const char *what = "does not wait in a system call that can be resumed";
	uint64_t until = now_ns(CLOCK_MONOTONIC) + SEARCH_S * 1000000000ull;
	char text[160];

	while (now_ns(CLOCK_MONOTONIC) < until) {
		struct waiting waiting;
		enum aside result = ASIDE_MOVED;

		if (waiting_find(errand->program, &waiting, &what))
			result = aside_lead(errand->program, &waiting, errand->code, words,
					    &errand->stopped_ns);
		if (result == ASIDE_DONE || result == ASIDE_UNKNOWN)
			errand->led = waiting.tid;
		if (result == ASIDE_DONE)
			return 0;
		if (result == ASIDE_STOPPED)
			return say(errand, why, size, "is stopped (kill -CONT continues it)");
		if (!is_alive(errand))
			return say(errand, why, size, "has ended");
		if (result == ASIDE_UNKNOWN || (result == ASIDE_REFUSED && errno != ESRCH)) {
			snprintf(text, sizeof(text), "cannot be stopped: %s", strerror(errno));
			return say(errand, why, size, text);
		}
		rest();
	}
	snprintf(text, sizeof(text), "has no thread in a suitable place after %d s: the last one %s",
		 SEARCH_S, what);
	return say(errand, why, size, text);
}

/* False: it is not there. In its place may lie what the program has mapped: that is not touched. */
static bool read_page(const struct errand *errand, struct stub_page *page)
{
	return memory_read(errand->program->memory, errand->page, page, sizeof(*page)) &&
	       page->made_ns == errand->made_ns;
}

/* What lies there is not the page, which has zeros first. */
static bool is_taken(const struct errand *errand)
{
	struct stub_page page;

	return memory_read(errand->program->memory, errand->page, &page, sizeof(page)) &&
	       page.made_ns && page.made_ns != errand->made_ns;
}

static int await_thread(struct errand *errand, char *why, size_t size)
{
	struct stub_page page;

	for (int i = 0; i < ANSWER_MS && is_alive(errand); i++) {
		if (read_page(errand, &page) && page.ready) {
			errand->tid = (pid_t)page.ready;
			return 0;
		}
		if (is_taken(errand))
			return say(errand, why, size, "maps memory just where tlstall needs some: try again");
		rest();
	}
	if (!is_alive(errand))
		return say(errand, why, size, "has ended");
	return say(errand, why, size, "cannot make a thread: a limit on threads or memory was reached");
}

static void erase_code(const struct errand *errand)
{
	static const char zeros[4096];

	program_write(errand->program, errand->code, zeros,
		      (size_t)(__stop_attach_stub - __start_attach_stub));
}

int errand_begin(struct program *program, struct errand *out, char *why, size_t size)
{
	size_t code = (size_t)(__stop_attach_stub - __start_attach_stub);
	struct stub_words words = {.create = program->pthread_create,
				   .detach = program->pthread_detach,
				   .unmap = program->munmap,
				   .made_ns = now_ns(CLOCK_MONOTONIC)};

	*out = (struct errand){
		.program = program,
		.code = find_code_room(program, code),
		.page = find_page_room(program),
		.made_ns = words.made_ns,
	};
	words.page = out->page;
	if (!out->code || !out->page)
		return say(out, why, size, "has no room for a few hundred bytes of code");
	if (!program_write(program, out->code, __start_attach_stub, code)) {
		snprintf(why, size, "the memory of process %d cannot be written: %s", program->pid,
			 strerror(errno));
		return -1;
	}
	if (lead_somebody(out, &words, why, size)) {
		if (!out->led)
			erase_code(out);
		return -1;
	}
	return await_thread(out, why, size);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static bool write_order(const struct errand *errand, enum stub_order order)
{
	uint32_t value = order;

	return program_write(errand->program,
			     errand->page + offsetof(struct stub_page, order), &value,
			     sizeof(value));
}

static int say_gone(const struct errand *errand, char *why, size_t size)
{
	return say(errand, why, size,
		   is_alive(errand) ? "has waited in vain: tlstall was stopped, or got no CPU"
				    : "has ended");
}

int errand_order(struct errand *errand, struct stub_page *page, enum stub_order order, char *why,
		 size_t size)
{
	const size_t kept = offsetof(struct stub_page, open);
	struct stub_page now;

	if (!read_page(errand, &now))
		return say_gone(errand, why, size);
	/* first the data, then the word that the thread waits for */
	if (!program_write(errand->program, errand->page + kept, (const char *)page + kept,
			   sizeof(*page) - kept) ||
	    !write_order(errand, order))
		return say(errand, why, size, "has ended");
	for (int i = 0; i < ANSWER_MS; i++) {
		if (!read_page(errand, page))
			return say_gone(errand, why, size);
		if (page->done == order)
			return 0;
		rest();
	}
	write_order(errand, STUB_LEAVE);
	return say(errand, why, size, "does not finish: another thread holds the loader's lock");
}

/* The thread's id may differ there, so its page tells. */
static bool is_gone(const struct errand *errand)
{
	struct stub_page page;

	return !read_page(errand, &page);
}

/*
 * The thread that was led is still to run a few instructions after it said in the page that it has all but
 * left, and a signal's handler may come in between.
 */
static bool await_left(const struct errand *errand)
{
	for (int i = 0; i < LEAVE_MS; i++, rest()) {
		if (!waiting_may_return(errand->program, errand->led, code_of(errand->code)))
			return true;
	}
	return false;
}

/* Code that a thread may still need stays where it is, and is found by is_left() later. */
void errand_end(struct errand *errand)
{
	uint32_t yes = 1;

	if (!errand->tid)
		return;
	if (!is_gone(errand))
		program_write(errand->program, errand->page + offsetof(struct stub_page, seen),
			      &yes, sizeof(yes));
	for (int i = 0; i < STUB_PATIENCE_MS && !is_gone(errand); i++)
		rest();
	if (is_gone(errand) && is_alive(errand) && await_left(errand))
		erase_code(errand);
}
