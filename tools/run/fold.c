/* SPDX-License-Identifier: Apache-2.0 */
#include "run/fold.h"

#include <stdlib.h>

/* This many equal results in a row are shown one by one. */
#define PLAIN 3
/* Calls farther apart than this are not a spin. */
#define APART_NS 100000000ull
/* A continuing run is reported this often, and an idle SSL object is forgotten after FORGET_NS. */
#define TELL_NS 1000000000ull
#define FORGET_NS 10000000000ull

/* Programs call SSL_connect and SSL_get_error in turn: each has a run of its own. */
enum { KIND_CALL, KIND_GET_ERROR, KINDS };

struct fold_entry {
	uint64_t ssl;
	struct followed *from; /* NULL: an empty entry */
	struct {
		struct fold_run run; /* not reported yet */
		struct tlstall_event last;
		uint64_t last_ns;
		uint32_t equal; /* in a row */
	} kinds[KINDS];
};

/* ---- table ---------------------------------------------------------------- */

static size_t place_of(const struct fold *fold, const struct followed *from, uint64_t ssl)
{
	uint64_t hash = (ssl ^ (uintptr_t)from) * 0x9e3779b97f4a7c15ull;
	size_t at = (hash >> 20) & (fold->room - 1);

	while (fold->entries[at].from &&
	       (fold->entries[at].from != from || fold->entries[at].ssl != ssl))
		at = (at + 1) & (fold->room - 1);
	return at;
}

static bool is_worth(const struct fold_entry *entry, uint64_t now_ns)
{
	for (int i = 0; i < KINDS; i++)
		if (entry->kinds[i].run.count || entry->kinds[i].last_ns + FORGET_NS > now_ns)
			return true;
	return false;
}

/* Rebuilds the table with what is still needed and room for as much again. */
static bool rebuild(struct fold *fold, uint64_t now_ns)
{
	struct fold old = *fold;
	size_t keep = 0;

	for (size_t i = 0; i < old.room; i++)
		keep += old.entries[i].from && is_worth(&old.entries[i], now_ns);
	for (fold->room = 64; fold->room < keep * 4; fold->room *= 2)
		;
	fold->entries = calloc(fold->room, sizeof(*fold->entries));
	fold->used = 0;
	for (size_t i = 0; fold->entries && i < old.room; i++) {
		const struct fold_entry *entry = &old.entries[i];

		if (!entry->from || !is_worth(entry, now_ns))
			continue;
		fold->entries[place_of(fold, entry->from, entry->ssl)] = *entry;
		fold->used++;
	}
	if (!fold->entries) {
		*fold = old;
		return false;
	}
	free(old.entries);
	return true;
}

static struct fold_entry *find(struct fold *fold, struct followed *from, uint64_t ssl,
			       uint64_t now_ns)
{
	struct fold_entry *entry;

	if (fold->used * 2 >= fold->room && !rebuild(fold, now_ns))
		return NULL;
	entry = &fold->entries[place_of(fold, from, ssl)];
	if (!entry->from) {
		*entry = (struct fold_entry){.ssl = ssl, .from = from};
		fold->used++;
	}
	return entry;
}

/* ---- runs ------------------------------------------------------------------ */

static bool same_result(const struct tlstall_event *a, const struct tlstall_event *b)
{
	return a->function == b->function && a->ret == b->ret && a->error == b->error &&
	       a->state == b->state && a->ossl_error == b->ossl_error && a->process == b->process &&
	       a->handshake == b->handshake;
}

static void tell(struct fold *fold, struct fold_run *run, uint64_t now_ns)
{
	if (run->count)
		fold->told(fold->context, run, now_ns);
	run->count = 0;
}

bool fold_add(struct fold *fold, struct followed *from, const struct tlstall_event *event,
	      uint64_t ns)
{
	int kind = event->type == TLSTALL_EVENT_GET_ERROR ? KIND_GET_ERROR : KIND_CALL;
	struct fold_entry *entry = find(fold, from, event->ssl, ns);
	struct fold_run *run;
	bool same;

	if (!entry)
		return true;
	run = &entry->kinds[kind].run;
	same = entry->kinds[kind].equal && same_result(&entry->kinds[kind].last, event) &&
	       ns < entry->kinds[kind].last_ns + APART_NS;
	entry->kinds[kind].last = *event;
	entry->kinds[kind].last_ns = ns;
	entry->kinds[kind].equal = same ? entry->kinds[kind].equal + 1 : 1;
	/* what was left out comes before the different result, in the order of the calls */
	for (int i = 0; !same && i < KINDS; i++)
		tell(fold, &entry->kinds[i].run, ns);
	if (entry->kinds[kind].equal <= PLAIN)
		return true;
	if (!run->count)
		run->first_ns = ns;
	run->from = from;
	run->event = *event;
	run->last_ns = ns;
	run->count++;
	return false;
}

void fold_flush(struct fold *fold, uint64_t now_ns)
{
	for (size_t i = 0; i < fold->room; i++) {
		for (int kind = 0; fold->entries[i].from && kind < KINDS; kind++) {
			struct fold_run *run = &fold->entries[i].kinds[kind].run;

			if (now_ns == UINT64_MAX || now_ns > run->last_ns + APART_NS ||
			    now_ns > run->first_ns + TELL_NS)
				tell(fold, run, now_ns == UINT64_MAX ? run->last_ns : now_ns);
		}
	}
}

void fold_forget(struct fold *fold, const struct followed *from)
{
	for (size_t i = 0; i < fold->room; i++) {
		struct fold_entry *entry = &fold->entries[i];

		for (int kind = 0; entry->from == from && kind < KINDS; kind++) {
			tell(fold, &entry->kinds[kind].run, entry->kinds[kind].last_ns);
			entry->kinds[kind].equal = 0;
			entry->kinds[kind].last_ns = 0;
		}
	}
}

void fold_free(struct fold *fold)
{
	free(fold->entries);
	fold->entries = NULL;
	fold->room = fold->used = 0;
}
