/* SPDX-License-Identifier: Apache-2.0 */
#include "live/watches.h"

#include <stdlib.h>

#include "kernel/dump.h"
#include "tlstall/vocabulary.h"

/* A handshake in flight for this long gets a look from outside, again every LOOK_AGAIN_NS. */
#define LOOK_AFTER_NS 500000000ull
#define LOOK_AGAIN_NS 1000000000ull
#define LOOK_SELDOM_NS 60000000000ull
/* Per scan; if more handshakes stall, they take turns. */
#define LOOKS 64
/*
 * How long to wait for what is known later: a refusal in the first read, an exit after giving up.
 */
#define LINGER_NS 2000000000ull
/* ... and for a call that does not return. */
#define LINGER_INSIDE_NS 5000000000ull

struct watched_slot {
	uint64_t reported; /* number of the last handshake that was reported */
	uint32_t watch;	   /* index + 1; 0: none */
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
	free(watches->numbers);
	looker_free(&watches->looker);
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

/* A look from outside counts only for the state that it saw, not for a later one. */
static const struct kernel_view *last_view(struct watch *watch)
{
	if (!watch->looked_ns)
		return NULL;
	watch->view.past = watch->view.then.progress != watch->h.progress;
	return &watch->view;
}

static void forget(struct watches *watches, size_t index)
{
	struct watch *watch = &watches->items[index], *last = &watches->items[--watches->count];

	watches->slots[watch->slot].reported = watch->h.number;
	watches->slots[watch->slot].watch = 0;
	if (watch == last)
		return;
	*watch = *last;
	watches->numbers[index] = watches->numbers[watches->count];
	watches->slots[watch->slot].watch = (uint32_t)index + 1;
}

static void report_at(struct watches *watches, size_t index, const struct watch_report *report)
{
	struct watch *watch = &watches->items[index];

	report->report(report->context, &watch->h, last_view(watch));
	forget(watches, index);
}

/* In mode `watch`: it ended well, and its summary is still to come. */
static bool awaits_summary(const struct tlstall_handshake *h)
{
	return h->flags & TLSTALL_HS_COMPACT && h->outcome == TLSTALL_OUTCOME_OK &&
	       h->status != TLSTALL_SLOT_DONE;
}

bool watch_is_quiet(const struct watch *watch)
{
	return watch->h.end && !watch->h.enter && awaits_summary(&watch->h);
}

static bool all_is_known(const struct watch *watch, uint64_t now_ns)
{
	const struct tlstall_handshake *h = &watch->h;
	bool read = (h->flags & TLSTALL_HS_FIRST_READ) && !tlstall_is_retry(h->first_read_error);
	/* its process may have ended with it, which we learn later */
	bool done = h->status == TLSTALL_SLOT_DONE && h->outcome != TLSTALL_OUTCOME_ABANDONED;
	uint64_t linger_ns = h->enter ? LINGER_INSIDE_NS : LINGER_NS;

	return watch->ended_ns && !awaits_summary(h) && (done || read || now_ns - watch->ended_ns > linger_ns);
}

/* ---- looking ----------------------------------------------------------------- */

static bool grow(struct watches *watches)
{
	size_t room = watches->room ? watches->room * 2 : 16;
	struct watch *items = realloc(watches->items, room * sizeof(*items));
	uint32_t *numbers;

	if (!items)
		return false;
	watches->items = items;
	numbers = realloc(watches->numbers, room * sizeof(*numbers));
	if (!numbers)
		return false;
	watches->numbers = numbers;
	watches->room = room;
	return true;
}

static struct watch *add(struct watches *watches, uint32_t slot)
{
	struct watch *items;

	if (watches->count == watches->room && !grow(watches))
		return NULL;
	items = &watches->items[watches->count++];
	*items = (struct watch){.slot = slot};
	watches->slots[slot].watch = (uint32_t)watches->count;
	return items;
}

/* Takes what is in the slot now, and reports what was there before. */
static struct watch *take(struct watches *watches, uint32_t slot, const struct tlstall_handshake *h,
			  uint64_t now_ns, const struct watch_report *report)
{
	struct watch *watch;

	watch = watches->slots[slot].watch ? &watches->items[watches->slots[slot].watch - 1] : NULL;
	if (watch && watch->h.number != h->number) {
		/* a summary reports a compact handshake once it has left its slot */
		if (watch->h.flags & TLSTALL_HS_COMPACT)
			forget(watches, (size_t)(watch - watches->items));
		else
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
	watch->scan = watches->scans;
	watches->numbers[watch - watches->items] = (uint32_t)h->number;
	if (!h->end)
		watch->ended_ns = 0; /* it goes on, even after a fatal error */
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

/* Its summary reports it: the slot will soon have another owner. */
static void forget_slot_of(struct watches *watches, const struct tlstall_event *event)
{
	for (size_t i = watches->count; i-- > 0;) {
		if (watches->numbers[i] == event->handshake &&
		    watches->items[i].h.flags & TLSTALL_HS_COMPACT) {
			forget(watches, i);
			return;
		}
	}
}

void watches_ended(struct watches *watches, struct trace *trace, const struct tlstall_event *event,
		   uint64_t now_ns, const struct watch_report *report)
{
	struct tlstall_handshake h;

	if (event->slot >= trace_live_slot_count(trace))
		forget_slot_of(watches, event);
	if (event->slot < watches->slot_count && !trace_handshake_of(trace, event, &h))
		take(watches, event->slot, &h, now_ns, report);
	if (event->slot >= watches->slot_count)
		watches->missed++; /* it had no slot: only its calls were recorded */
	else if ((uint32_t)watches->slots[event->slot].reported != event->handshake &&
		 !watches_find(watches, event))
		watches->missed++;
}

/* Slots claimed but not filled at the last scan are looked at again: so many. */
#define BACK 8

/* Scans the slots that were taken since the last scan. */
static void scan_new(struct watches *watches, struct trace *trace, uint64_t now_ns,
		     const struct watch_report *report)
{
	uint64_t cursor = trace_header(trace)->slot_cursor, count = trace_live_slot_count(trace);

	/* there, slots are reused at once, in no particular order */
	if (trace_header(trace)->control.mode == TLSTALL_MODE_WATCH)
		watches->scanned = 0;
	if (count && cursor > watches->scanned + count)
		watches->scanned = cursor - count;
	for (uint64_t at = watches->scanned > BACK ? watches->scanned - BACK : 0;
	     count && at < cursor; at++)
		look(watches, trace, (uint32_t)(at % count), now_ns, report);
	watches->scanned = cursor;
}

/* How long nothing had moved at that time. */
static uint64_t stall_of(const struct tlstall_handshake *h, uint64_t at)
{
	uint64_t since = h->progress ? h->progress : h->start;

	return at > since ? at - since : 0;
}

/*
 * Keeps the last look at the longest stall. From several looks at one stall, the first shows how
 * much CPU time the thread had used by then.
 */
static void take_view(struct watch *watch, const struct kernel_view *view)
{
	bool same = watch->looked_ns && watch->view.then.progress == view->then.progress;

	if (watch->looked_ns && !same &&
	    stall_of(&view->then, view->at) < stall_of(&watch->view.then, watch->view.at))
		return;
	watch->view = *view;
	if (same)
		kernel_add_burnt(&watch->first, &watch->view);
	else
		watch->first = *view;
}

uint64_t watch_patience_ns(uint64_t age_ns)
{
	uint64_t patience = age_ns / 2;

	if (patience < LOOK_AGAIN_NS)
		return LOOK_AGAIN_NS;
	return patience < LOOK_SELDOM_NS ? patience : LOOK_SELDOM_NS;
}

static uint64_t again_ns_of(const struct watches *watches, const struct watch *watch,
			    const struct trace *trace)
{
	uint64_t since = watch->view.then.start;

	if (watches->patient && watch->looked_ns && watch->view.at > since)
		return watch_patience_ns(trace_span_ns(trace, watch->view.at - since));
	/* a thread that computes may soon wait */
	return watch->view.wait == TLSTALL_WAIT_RUNNING ? 0 : LOOK_AGAIN_NS;
}

/*
 * A compact handshake has no addresses, so the kernel walks its whole table for the socket. If a look
 * has found it, the next ones ask for its addresses, unless it is not there any more.
 */
static void look_from_outside(struct watches *watches, const struct watch *watch,
			      struct trace *trace, uint64_t at, struct kernel_view *out)
{
	pid_t pid = trace_pid_here(trace, watch->h.process);
	struct tlstall_handshake known = watch->h;

	known.peer = watch->view.peer;
	known.local = watch->view.local;
	if (watch->looked_ns && !watch->h.peer.family && watch->h.read.fd >= 0 && known.local.family) {
		look_at(&watches->looker, pid, &known, at, out);
		out->then = watch->h;
		if (out->socket.ticks)
			return;
	}
	look_at(&watches->looker, pid, &watch->h, at, out);
}

static bool ask_kernel(struct watches *watches, struct watch *watch, struct trace *trace,
		       uint64_t now_ns)
{
	struct tlstall_clock_pair clock;
	struct kernel_view view;
	uint64_t again_ns = again_ns_of(watches, watch, trace);

	if ((watch->ended_ns && !watch->h.enter) ||
	    (watch->looked_ns && now_ns - watch->looked_ns < again_ns))
		return false;
	clock = trace_read_clock(trace);
	if (clock.ticks < watch->h.start ||
	    trace_span_ns(trace, clock.ticks - watch->h.start) < LOOK_AFTER_NS ||
	    !trace_alive(trace, watch->h.process))
		return false;
	dumps_not_older(trace_span_ns(trace, stall_of(&watch->h, clock.ticks)));
	look_from_outside(watches, watch, trace, clock.ticks, &view);
	/* it was killed just now: the earlier look tells more */
	if (view.wait == TLSTALL_WAIT_GONE && watch->looked_ns)
		return true;
	take_view(watch, &view);
	watch->looked_ns = now_ns;
	return true;
}

void watches_scan(struct watches *watches, struct trace *trace, uint64_t now_ns,
		  const struct watch_report *report)
{
	unsigned looks = 0;

	watches->scans++;
	scan_new(watches, trace, now_ns, report);
	for (size_t i = watches->count; i-- > 0;) {
		struct watch *watch = &watches->items[i];

		if (!watch_is_final(watch) && watch->scan != watches->scans)
			watch = look(watches, trace, watch->slot, now_ns, report);
		/* it was reported meanwhile: whatever took its place gets its turn next time */
		if (!watch || i >= watches->count)
			continue;
		if (all_is_known(watch, now_ns))
			report_at(watches, (size_t)(watch - watches->items), report);
		else if (looks < LOOKS)
			looks += ask_kernel(watches, watch, trace, now_ns);
	}
}

void watches_finish(struct watches *watches, struct trace *trace, uint64_t now_ns,
		    const struct watch_report *report)
{
	scan_new(watches, trace, now_ns, report);
	while (watches->count) {
		size_t last = watches->count - 1;

		/* if the slot has another owner, the fresh look reports the old one itself */
		if (look(watches, trace, watches->items[last].slot, now_ns, report) ||
		    watches->count == last + 1)
			report_at(watches, watches->count - 1, report);
	}
}
