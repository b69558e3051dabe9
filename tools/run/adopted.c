/* SPDX-License-Identifier: Apache-2.0 */
#include "run/adopted.h"

#include <stdlib.h>

#include "trace/reader.h"

int adopted_look(struct adopted *adopted, pid_t pid, char *why, size_t size)
{
	*adopted = (struct adopted){.has_first = false};
	adopted->has_first = !looked_take(pid, 0, &adopted->first, why, size);
	return adopted->has_first ? 0 : -1;
}

void adopted_list(const struct adopted *adopted, struct attach *attach)
{
	const struct look *look = &adopted->first.look;

	attach->adopted_count = 0;
	attach->adopted_ns = look->taken_ns;
	for (unsigned i = 0; adopted->has_first && i < look->count; i++) {
		const struct look_object *object = &look->objects[i];

		if (look_is_handshake(object) && attach->adopted_count < TLSTALL_ATTACH_ADOPTED)
			attach->adopted[attach->adopted_count++] = (struct tlstall_adopted){
				.ssl = object->ssl.address,
				.begun_ns = object->standing_ns,
				.bytes_in = object->ssl.bytes_in,
				.bytes_out = object->ssl.bytes_out,
			};
	}
}

static bool is_in_trace(struct trace *trace, uint64_t ssl)
{
	struct tlstall_handshake h;

	for (unsigned i = 0; i < trace_slot_count(trace); i++) {
		if (!trace_handshake(trace, i, &h) && h.ssl == ssl && h.flags & TLSTALL_HS_MIDDLE)
			return true;
	}
	return false;
}

static bool was_seen(const struct follow *follow, uint64_t ssl)
{
	for (const struct followed *f = follow->traces; f; f = f->next) {
		if (f->trace && !trace_refresh(f->trace) && is_in_trace(f->trace, ssl))
			return true;
	}
	return false;
}

static bool is_in_look(const struct look *look, uint64_t ssl)
{
	for (unsigned i = 0; i < look->count; i++) {
		if (look->objects[i].ssl.address == ssl && look_is_handshake(&look->objects[i]))
			return true;
	}
	return false;
}

/* Handshakes that have made a call since are in the trace. */
static void keep_unseen(struct adopted *adopted, const struct follow *follow)
{
	struct looked *last = &adopted->last;
	unsigned kept = 0;

	for (unsigned i = 0; i < last->count; i++) {
		uint64_t ssl = last->subjects[i]->h.ssl;

		if (is_in_look(&adopted->first.look, ssl) && !was_seen(follow, ssl))
			last->subjects[kept++] = last->subjects[i];
		else
			free(last->subjects[i]);
	}
	last->count = kept;
}

static unsigned count_ended(const struct adopted *adopted, const struct follow *follow)
{
	const struct look *look = &adopted->first.look;
	unsigned ended = 0;

	for (unsigned i = 0; i < look->count; i++) {
		uint64_t ssl = look->objects[i].ssl.address;

		if (look_is_handshake(&look->objects[i]) && !is_in_look(&adopted->last.look, ssl) &&
		    !was_seen(follow, ssl))
			ended++;
	}
	return ended;
}

void adopted_look_again(struct adopted *adopted, const struct follow *follow)
{
	char why[256];

	if (!adopted->has_first || !adopted->first.look.in_handshake ||
	    looked_take_later(&adopted->first.look, &adopted->last, why, sizeof(why)))
		return;
	adopted->has_last = true;
	keep_unseen(adopted, follow);
	adopted->ended = count_ended(adopted, follow);
}

void adopted_free(struct adopted *adopted)
{
	if (adopted->has_first)
		looked_free(&adopted->first);
	if (adopted->has_last)
		looked_free(&adopted->last);
	*adopted = (struct adopted){.has_first = false};
}
