/* SPDX-License-Identifier: Apache-2.0 */
#include "run/watches.h"

#include <stdlib.h>

#include "view/call.h"

/* A handshake in flight for so long gets a look from outside, again after LOOK_AGAIN_NS. */
#define LOOK_AFTER_NS 500000000ull
#define LOOK_AGAIN_NS 1000000000ull
/* In one scan; a thousand stalled handshakes are looked at in turn. */
#define LOOKS 64
/* For what is told only later: a refusal in the first read, an exit after giving up. */
#define LINGER_NS 2000000000ull
/* ... and for one that is not coming back. */
#define LINGER_INSIDE_NS 5000000000ull

struct watched_slot {
	uint64_t reported; /* number of the last handshake that is dealt with */
	uint32_t watch;	   /* index + 1, 0: none */
};

int watches_open(struct watches *watches, struct trace *trace)
{
	watches->slot_count = trace_slot_count(trace);
	watches->slots = calloc(watches->slot_count + 1, sizeof(*watches->slots));
	return watches->slots ? 0 : -1;
}

void watches_free(struct watches *watches)
{
	free(watches->slots);
	free(watches->items);
	*watches = (struct watches){0};
}

const struct watch *watches_find(const struct watches *watches, const struct tlstall_event *event)
{
	const struct watch *watch;

	if (event->slot >= watches->slot_count || !watches->slots[event->slot].watch)
		return NULL;
	watch = &watches->items[watches->slots[event->slot].watch - 1];
	return (uint32_t)watch->h.number == event->handshake ? watch : NULL;
}

bool watch_is_final(const struct watch *watch)
{
	return watch->h.status == TLSTALL_SLOT_DONE;
}

/* ---- reporting ------------------------------------------------------------- */

/* A look from outside counts only for what it saw: not for what came after. */
static const struct kernel_view *last_view(struct watch *watch)
{
	if (!watch->looked_ns)
		return NULL;
	watch->view.past = watch->looked_progress != watch->h.progress;
	return &watch->view;
}

static void report_at(struct watches *watches, size_t index, const struct watch_report *report)
{
	struct watch *watch = &watches->items[index], *last = &watches->items[--watches->count];

	report->report(report->context, &watch->h, last_view(watch));
	watches->slots[watch->slot].reported = watch->h.number;
	watches->slots[watch->slot].watch = 0;
	if (watch == last)
		return;
	*watch = *last;
	watches->slots[watch->slot].watch = (uint32_t)index + 1;
}

static bool all_is_known(const struct watch *watch, uint64_t now_ns)
{
	const struct tlstall_handshake *h = &watch->h;
	bool read = (h->flags & TLSTALL_HS_FIRST_READ) && !call_is_retry(h->first_read_error);
	/* whether its process ended with it is yet to be seen */
	bool done = h->status == TLSTALL_SLOT_DONE && h->outcome != TLSTALL_OUTCOME_ABANDONED;
	uint64_t linger_ns = h->enter ? LINGER_INSIDE_NS : LINGER_NS;

	return watch->ended_ns && (done || read || now_ns - watch->ended_ns > linger_ns);
}

/* ---- looking ----------------------------------------------------------------- */

static struct watch *add(struct watches *watches, uint32_t slot)
{
	size_t room = watches->room ? watches->room * 2 : 16;
	struct watch *items;

	if (watches->count == watches->room) {
		items = realloc(watches->items, room * sizeof(*items));
		if (!items)
			return NULL;
		watches->items = items;
		watches->room = room;
	}
	items = &watches->items[watches->count++];
	*items = (struct watch){.slot = slot};
	watches->slots[slot].watch = (uint32_t)watches->count;
	return items;
}

/* Takes what is in the slot now; whatever was there before is reported. */
static struct watch *take(struct watches *watches, uint32_t slot, const struct tlstall_handshake *h,
			  uint64_t now_ns, const struct watch_report *report)
{
	struct watch *watch;

	watch = watches->slots[slot].watch ? &watches->items[watches->slots[slot].watch - 1] : NULL;
	if (watch && watch->h.number != h->number) {
		report_at(watches, (size_t)(watch - watches->items), report);
		watch = NULL;
	}
	if (watches->slots[slot].reported == h->number)
		return NULL;
	if (!watch)
		watch = add(watches, slot);
	if (!watch)
		return NULL;
	watch->h = *h;
	if (!h->end)
		watch->ended_ns = 0; /* goes on, even after a fatal error */
	else if (!watch->ended_ns)
		watch->ended_ns = now_ns;
	return watch;
}

static struct watch *look(struct watches *watches, struct trace *trace, uint32_t slot,
			  uint64_t now_ns, const struct watch_report *report)
{
	struct tlstall_handshake h;

	if (slot >= watches->slot_count || trace_handshake(trace, slot, &h))
		return NULL;
	return take(watches, slot, &h, now_ns, report);
}

void watches_ended(struct watches *watches, struct trace *trace, const struct tlstall_event *event,
		   uint64_t now_ns, const struct watch_report *report)
{
	struct tlstall_handshake h;

	if (event->slot < watches->slot_count && !trace_handshake_of(trace, event, &h))
		take(watches, event->slot, &h, now_ns, report);
	if (event->slot >= watches->slot_count)
		watches->missed++; /* it had no slot: its calls alone were recorded */
	else if ((uint32_t)watches->slots[event->slot].reported != event->handshake &&
		 !watches_find(watches, event))
		watches->missed++;
}

/* Slots that were claimed but not filled yet at the last scan: they are looked at again. */
#define BACK 8

/* The slots that were taken since the last scan. */
static void scan_new(struct watches *watches, struct trace *trace, uint64_t now_ns,
		     const struct watch_report *report)
{
	uint64_t cursor = trace_header(trace)->slot_cursor, count = watches->slot_count;

	if (count && cursor > watches->scanned + count)
		watches->scanned = cursor - count;
	for (uint64_t at = watches->scanned > BACK ? watches->scanned - BACK : 0;
	     count && at < cursor; at++)
		look(watches, trace, (uint32_t)(at % count), now_ns, report);
	watches->scanned = cursor;
}

static bool ask_kernel(struct watch *watch, struct trace *trace, uint64_t now_ns)
{
	struct tlstall_clock_pair clock;
	struct tlstall_process process;
	struct kernel_view view;
	/* a thread that computes may soon wait */
	uint64_t again_ns = watch->view.wait == WAIT_RUNNING ? 0 : LOOK_AGAIN_NS;

	if ((watch->ended_ns && !watch->h.enter) ||
	    (watch->looked_ns && now_ns - watch->looked_ns < again_ns))
		return false;
	clock = trace_read_clock(trace);
	if (clock.ticks < watch->h.start ||
	    trace_span_ns(trace, clock.ticks - watch->h.start) < LOOK_AFTER_NS ||
	    !trace_alive(trace, watch->h.process) ||
	    trace_process(trace, watch->h.process, &process))
		return false;
	kernel_look((pid_t)process.pid, &watch->h, &view);
	/* it was killed just now: what it did before tells more */
	if (view.wait == WAIT_GONE && watch->looked_ns)
		return true;
	watch->view = view;
	watch->looked_ns = now_ns;
	watch->looked_progress = watch->h.progress;
	return true;
}

void watches_scan(struct watches *watches, struct trace *trace, uint64_t now_ns,
		  const struct watch_report *report)
{
	unsigned looks = 0;

	scan_new(watches, trace, now_ns, report);
	for (size_t i = watches->count; i-- > 0;) {
		struct watch *watch = &watches->items[i];

		if (!watch_is_final(watch))
			watch = look(watches, trace, watch->slot, now_ns, report);
		/* reported meanwhile: another has its place, and its turn the next time */
		if (!watch || i >= watches->count)
			continue;
		if (all_is_known(watch, now_ns))
			report_at(watches, (size_t)(watch - watches->items), report);
		else if (looks < LOOKS)
			looks += ask_kernel(watch, trace, now_ns);
	}
}

void watches_finish(struct watches *watches, struct trace *trace, uint64_t now_ns,
		    const struct watch_report *report)
{
	scan_new(watches, trace, now_ns, report);
	while (watches->count) {
		size_t last = watches->count - 1;

		/* a fresh look may report it itself, if its slot has another owner */
		if (look(watches, trace, watches->items[last].slot, now_ns, report) ||
		    watches->count == last + 1)
			report_at(watches, watches->count - 1, report);
	}
}
