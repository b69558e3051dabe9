/* SPDX-License-Identifier: Apache-2.0 */
#include "live/flight.h"

#include <stdlib.h>

#include "now.h"

/* Neighbors are known only after reading a whole trace; one query reads at most this many. */
#define READ_WHOLE 64
/* One query judges at most this many handshakes that hang. */
#define JUDGE 1024

static uint64_t age_of(const struct tailed *t, const struct watch *watch)
{
	uint64_t now = trace_read_clock(t->trace).ticks;

	return now > watch->h.start ? trace_span_ns(t->trace, now - watch->h.start) : 0;
}

void tail_flight(const struct tail *tail, struct tail_flight *out)
{
	*out = (struct tail_flight){0};
	for (size_t i = 0; i < tail->count; i++) {
		const struct tailed *t = tail->list[i];

		for (size_t j = 0; t->trace && j < t->watches.count; j++) {
			const struct watch *watch = &t->watches.items[j];
			uint64_t age = watch->h.end ? 0 : age_of(t, watch);

			if (watch->h.end)
				continue;
			out->count[watch->h.role < 3 ? watch->h.role : 0]++;
			if (age > out->oldest_ns)
				out->oldest_ns = age;
		}
	}
}

/* What the kernel showed counts only as long as nothing has changed. */
static void judge_now(struct tailed *t, struct watch *watch, bool whole, struct subject *out)
{
	watch->view.past = watch->view.then.progress != watch->h.progress;
	tail_judge(t, &watch->h, watch->looked_ns ? &watch->view : NULL, whole, out);
	watch->judged_ns = now_ns(CLOCK_MONOTONIC);
	watch->cause = subject_is_bad(out) ? (uint8_t)out->verdicts[0].cause : CAUSE_NONE;
	watch->fault = (uint8_t)out->verdicts[0].fault;
}

void tail_in_flight(struct tail *tail, void (*each)(void *context, const struct subject *subject),
		    void *context)
{
	struct subject *subject = malloc(sizeof(*subject));
	unsigned whole = READ_WHOLE;

	for (size_t i = 0; subject && i < tail->count; i++) {
		struct tailed *t = tail->list[i];

		for (size_t j = 0; t->trace && j < t->watches.count; j++) {
			struct watch *watch = &t->watches.items[j];

			if (watch->h.end)
				continue;
			judge_now(t, watch, whole, subject);
			each(context, subject);
		}
		if (!t->trace)
			continue;
		whole -= t->neighbors != NULL;
		tail_forget_reading(t);
	}
	free(subject);
}

struct unreported {
	struct tailed *from;
	struct watch *watch;
	uint64_t start_ns;
};

static int by_start(const void *a, const void *b)
{
	uint64_t one = ((const struct unreported *)a)->start_ns;
	uint64_t other = ((const struct unreported *)b)->start_ns;

	return one < other ? -1 : one > other;
}

/* All of them by age; NULL: there are none, or no memory. */
static struct unreported *list_unreported(const struct tail *tail, size_t *count)
{
	struct unreported *list;
	size_t room = 0;

	for (size_t i = 0; i < tail->count; i++)
		room += tail->list[i]->watches.count;
	list = room ? malloc(room * sizeof(*list)) : NULL;
	*count = 0;
	for (size_t i = 0; list && i < tail->count; i++) {
		struct tailed *t = tail->list[i];

		for (size_t j = 0; t->trace && j < t->watches.count; j++) {
			struct watch *watch = &t->watches.items[j];

			if (!watch_is_quiet(watch))
				list[(*count)++] = (struct unreported){
					t, watch, trace_start_ns(t->trace, &watch->h)};
		}
	}
	if (*count)
		qsort(list, *count, sizeof(*list), by_start);
	return list;
}

void tail_unreported(struct tail *tail, bool (*each)(void *context, const struct subject *subject),
		     void *context)
{
	struct subject *subject = malloc(sizeof(*subject));
	size_t count;
	struct unreported *list = list_unreported(tail, &count);
	unsigned whole = READ_WHOLE;

	for (size_t i = 0; subject && i < count; i++) {
		struct tailed *t = list[i].from;
		bool read = t->neighbors;

		judge_now(t, list[i].watch, whole, subject);
		whole -= !read && t->neighbors;
		if (!each(context, subject))
			break;
	}
	for (size_t i = 0; i < tail->count; i++)
		if (tail->list[i]->trace && tail->list[i]->neighbors)
			tail_forget_reading(tail->list[i]);
	free(list);
	free(subject);
}

struct judging {
	unsigned left, whole; /* what is left to spend: verdicts, readings of whole traces */
	uint64_t now_ns;
	struct subject *subject;
};

static bool is_due(const struct tailed *t, const struct watch *watch, uint64_t now_ns)
{
	return !watch->judged_ns ||
	       now_ns - watch->judged_ns >= watch_patience_ns(age_of(t, watch));
}

static void count_stalled(struct tailed *t, struct watch *watch, struct judging *judging,
			  struct tail_stalled *out)
{
	enum cause cause;

	if (watch->h.end || age_of(t, watch) < SLOW_HANDSHAKE_NS)
		return;
	if (judging->left && is_due(t, watch, judging->now_ns)) {
		judging->left--;
		judge_now(t, watch, judging->whole, judging->subject);
	}
	cause = watch->judged_ns ? watch->cause : CAUSE_UNKNOWN;
	if (cause == CAUSE_NONE)
		return;
	out->causes[cause]++;
	out->faults[cause] = watch->judged_ns ? watch->fault : FAULT_UNKNOWN;
}

void tail_stalled(struct tail *tail, struct tail_stalled *out)
{
	struct judging judging = {JUDGE, READ_WHOLE, now_ns(CLOCK_MONOTONIC),
				  malloc(sizeof(struct subject))};

	*out = (struct tail_stalled){0};
	for (size_t i = 0; judging.subject && i < tail->count; i++) {
		struct tailed *t = tail->list[i];

		for (size_t j = 0; t->trace && j < t->watches.count; j++)
			count_stalled(t, &t->watches.items[j], &judging, out);
		if (!t->trace || !t->watches.count)
			continue;
		judging.whole -= t->neighbors != NULL;
		tail_forget_reading(t);
	}
	free(judging.subject);
}
