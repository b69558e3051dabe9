/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/prune.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "now.h"
#include "trace/directory.h"
#include "view/subject.h"

/* An unfinished trace is left alone for this long: making one takes less. */
#define MAKING_S 600

struct item {
	const struct trace_entry *entry;
	uint64_t bytes;
	uint64_t last_ns; /* last sign of life, since the epoch */
};

struct pruning {
	const struct prune_wish *wish;
	const struct prune_sink *sink;
	int directory; /* what is removed is removed there, whatever has its name by then */
	struct trace_list list;
	struct item *items; /* what may be removed, oldest first */
	size_t count;
	uint64_t now_ns;
	uint64_t bytes; /* of all traces */
	unsigned traces, live;
	struct pruned done;
};

/* ---- what may go ------------------------------------------------------------------ */

/* Whether any of its processes lives: the one that made it, or a forked child. */
static bool is_alive(struct trace *trace)
{
	const struct tlstall_header *header = trace_header(trace);
	unsigned room = header->section[TLSTALL_SECTION_PROCESSES].count;

	for (unsigned i = 0; i < header->process_count && i < room; i++) {
		struct tlstall_process process;

		/* a process that is not recorded yet is just starting */
		if (trace_process(trace, i, &process) || trace_alive(trace, i))
			return true;
	}
	return false;
}

static bool slots_are_ok(struct trace *trace, uint64_t *seen)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	struct tlstall_handshake h;
	bool ok = subject;

	/* after the slots come the summaries of handshakes that went well */
	for (unsigned slot = 0; ok && slot < trace_slot_count(trace); slot++) {
		if (slot == trace_slots_used(trace))
			slot = trace_live_slot_count(trace);
		if (trace_handshake(trace, slot, &h))
			continue;
		subject_make(trace, &h, NULL, subject);
		ok = h.outcome == TLSTALL_OUTCOME_OK && !subject_is_bad(subject);
		++*seen;
	}
	free(subject);
	return ok;
}

/* Whether every handshake can be read, and all of them succeeded. */
static bool is_ok(const char *path)
{
	struct trace *trace;
	uint64_t seen = 0;
	bool ok;

	if (trace_open_path(path, &trace))
		return false;
	ok = slots_are_ok(trace, &seen) && seen == trace_begun(trace) &&
	     !trace_damage(trace);
	trace_close(trace);
	return ok;
}

/*
 * Whether somebody has it open for writing, or mapped: a forked child without a handshake so far,
 * or a process in a container. Then the kernel grants no read lease.
 */
static bool has_writer(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool busy = fd >= 0 && fcntl(fd, F_SETLEASE, F_RDLCK) && errno == EAGAIN;

	if (fd >= 0)
		close(fd); /* and gives up the lease */
	return busy;
}

/* For files without a usable header. */
static bool is_left_over(const struct pruning *c, const struct trace_entry *entry,
			 const struct stat *st)
{
	return !trace_entry_alive(entry) && !has_writer(entry->path) &&
	       c->now_ns / 1000000000 > (uint64_t)st->st_mtime + MAKING_S;
}

/* If the process has forked children, each of them must have ended. */
static bool has_ended(const struct trace_entry *entry, const struct trace_glance *glance)
{
	struct trace *trace;
	bool alive;

	if (glance->alive || !glance->certain || has_writer(entry->path))
		return false;
	if (glance->over)
		return true;
	if (trace_open_path(entry->path, &trace))
		return false;
	alive = is_alive(trace);
	trace_close(trace);
	return !alive;
}

/* Whether the trace may be removed. Sets when it was last alive. */
static bool may_go(struct pruning *c, const struct trace_entry *entry, const struct stat *st,
		   uint64_t *last_ns)
{
	struct trace_glance glance;
	int error;

	*last_ns = (uint64_t)st->st_mtime * 1000000000;
	if (entry->failed)
		return !trace_entry_alive(entry);
	error = trace_glance(entry->path, &glance);
	if (error == TRACE_ERROR_UNFINISHED || entry->making)
		return is_left_over(c, entry, st);
	if (error) {
		c->sink->unreadable(c->sink->context, entry->path,
				    error == TRACE_ERROR_IO ? strerror(errno)
							    : trace_strerror(NULL, error));
		return false;
	}
	*last_ns = glance.last_ns;
	if (!has_ended(entry, &glance)) {
		c->live++;
		return false;
	}
	return true;
}

static bool is_wished(const struct pruning *c, const struct trace_entry *entry, uint64_t last_ns)
{
	double age_s = c->now_ns > last_ns ? (double)(c->now_ns - last_ns) / 1e9 : 0;

	return age_s >= c->wish->older_s &&
	       (!c->wish->only_ok || entry->failed || is_ok(entry->path));
}

static void take_entry(struct pruning *c, const struct trace_entry *entry)
{
	struct stat st;
	uint64_t last_ns, bytes;

	if (lstat(entry->path, &st))
		return; /* removed meanwhile */
	bytes = (uint64_t)st.st_blocks * 512;
	c->bytes += bytes;
	c->traces += !entry->failed;
	if (may_go(c, entry, &st, &last_ns) && is_wished(c, entry, last_ns))
		c->items[c->count++] = (struct item){entry, bytes, last_ns};
}

static int oldest_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->last_ns < y->last_ns ? -1 : x->last_ns > y->last_ns;
}

/* ---- removing ---------------------------------------------------------------------------- */

static void remove_item(struct pruning *c, const struct item *item)
{
	const struct prune_sink *sink = c->sink;
	const char *name = strrchr(item->entry->path, '/') + 1;

	if (!c->wish->dry && unlinkat(c->directory, name, 0) && errno != ENOENT) {
		c->done.failed = true;
		sink->not_removed(sink->context, item->entry->path, strerror(errno));
		return;
	}
	if (sink->removed)
		sink->removed(sink->context, item->entry->path, item->bytes);
	c->done.traces += !item->entry->failed;
	c->done.bytes += item->bytes;
}

/* As much is left as was asked for. */
static bool is_enough(const struct pruning *c)
{
	bool bounded = c->wish->keep_bytes != UINT64_MAX || c->wish->keep_traces != UINT_MAX;

	return bounded && c->bytes - c->done.bytes <= c->wish->keep_bytes &&
	       c->traces - c->done.traces <= c->wish->keep_traces;
}

static void remove_items(struct pruning *c)
{
	qsort(c->items, c->count, sizeof(*c->items), oldest_first);
	for (size_t i = 0; i < c->count && !is_enough(c); i++)
		remove_item(c, &c->items[i]);
}

static int list_items(struct pruning *c)
{
	c->directory = open(c->wish->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->directory < 0 || trace_list_add_all(&c->list, c->wish->directory))
		return -1;
	c->items = calloc(c->list.count + 1, sizeof(*c->items));
	if (!c->items)
		return -1;
	for (unsigned i = 0; i < c->list.count; i++)
		take_entry(c, &c->list.entries[i]);
	return 0;
}

int prune(const struct prune_wish *wish, const struct prune_sink *sink, struct pruned *out)
{
	struct pruning c = {.wish = wish, .sink = sink};
	int result;

	signal(SIGIO, SIG_IGN); /* sent when somebody breaks the lease */
	c.now_ns = now_ns(CLOCK_REALTIME);
	result = list_items(&c);
	if (!result)
		remove_items(&c);
	*out = c.done;
	out->left = c.traces - c.done.traces;
	out->left_bytes = c.bytes - c.done.bytes;
	out->live = c.live;
	if (c.directory >= 0)
		close(c.directory);
	free(c.items);
	trace_list_free(&c.list);
	return result;
}

/* ---- what people write --------------------------------------------------------------------- */

/* A number and one of the letters `units`, whose values are `sizes`. Without a letter: `bare`, or wrong. */
static int parse(const char *text, const char *units, const double *sizes, const char *bare, double *out)
{
	char *end;
	double value = strtod(text, &end);
	const char *unit = *end ? strchr(units, *end) : bare;

	if (end == text || *text < '0' || *text > '9' || !unit || (*end && end[1]))
		return -1;
	*out = value * sizes[unit - units];
	return *out < 1e18 ? 0 : -1;
}

/* Who writes 7 means days: if that were seconds, nearly everything would be removed. */
int prune_parse_age(const char *text, double *seconds)
{
	static const double sizes[] = {1, 60, 3600, 86400, 604800};

	return parse(text, "smhdw", sizes, NULL, seconds);
}

int prune_parse_size(const char *text, uint64_t *bytes)
{
	static const double sizes[] = {1, 1024, 1048576, 1073741824, 1099511627776.0};
	const char *units = "BKMGT";
	double value;

	if (parse(text, units, sizes, units, &value))
		return -1;
	*bytes = (uint64_t)value;
	return 0;
}
