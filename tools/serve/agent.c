/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "live/flight.h"
#include "message.h"
#include "now.h"
#include "text/print.h"
#include "trace/directory.h"
#include "trace/ledger.h"
#include "view/record.h"
#include "words/words.h"

#define S 1000000000ull
#define POLL_NS S
#define PRUNE_NS (60 * S)
#define SAVE_NS (10 * S)
/* Handshakes that ended more recently may not have been counted yet: see live/watches.c. */
#define LINGER_NS (6 * S)
/* For the live page: about a thousand records. */
#define NOW_BYTES (1u << 20)

/* ---- handshakes ------------------------------------------------------------------ */

static bool make_record(struct agent *agent, const struct subject *subject)
{
	record_handshake(&agent->record, subject);
	json_line_end(&agent->record);
	return !agent->record.failed;
}

static void on_handshake(void *context, struct tailed *from, const struct tlstall_handshake *h,
			 const struct kernel_view *view)
{
	struct agent *agent = context;

	tail_judge(from, h, view, true, agent->subject);
	counts_add(&agent->counts, agent->subject);
	if (agent->options->peers)
		peers_add(&agent->peers, agent->subject);
	if (make_record(agent, agent->subject))
		recent_add(&agent->recent, agent->record.text, agent->record.length);
}

static void on_lost(void *context, uint64_t count)
{
	struct agent *agent = context;

	agent->counts.lost += count;
}

struct writing {
	struct agent *agent;
	FILE *out;
	size_t written; /* by write_member() */
};

static void write_line(void *context, const struct subject *subject)
{
	struct writing *writing = context;
	const struct json_line *record = &writing->agent->record;

	if (!make_record(writing->agent, subject))
		return;
	fwrite(record->text, 1, record->length, writing->out);
	fputc('\n', writing->out);
}

void agent_write_in_flight(struct agent *agent, FILE *out)
{
	struct writing writing = {agent, out, 0};

	tail_in_flight(&agent->tail, write_line, &writing);
}

static bool write_member(void *context, const struct subject *subject)
{
	struct writing *writing = context;
	const struct json_line *record = &writing->agent->record;

	if (!make_record(writing->agent, subject))
		return true;
	if (writing->written)
		fputc(',', writing->out);
	fwrite(record->text, 1, record->length, writing->out);
	writing->written += record->length;
	return writing->written < NOW_BYTES;
}

void agent_write_now(struct agent *agent, FILE *out)
{
	struct writing writing = {agent, out, 0};
	struct tail_flight flight;

	tail_flight(&agent->tail, &flight);
	print(out, "{\"now_ns\":%" PRIu64 ",\"processes\":%u,\"in_flight\":%u,\"handshakes\":[",
	      now_ns(CLOCK_REALTIME), agent->tail.processes,
	      flight.count[0] + flight.count[1] + flight.count[2]);
	tail_unreported(&agent->tail, write_member, &writing);
	fputs("]}", out);
}

void agent_status(struct agent *agent, char *buffer, size_t size)
{
	struct tail_flight flight;
	uint64_t ended = 0;
	unsigned in_flight;
	char age[WORD_SIZE];

	tail_flight(&agent->tail, &flight);
	in_flight = flight.count[0] + flight.count[1] + flight.count[2];
	for (unsigned i = 0; i < agent->counts.series_count; i++)
		ended += agent->counts.series[i].count;
	snprintf(buffer, size,
		 "%u process%s traced, %u handshake%s in flight, the oldest for %s, %" PRIu64 " ended",
		 agent->tail.processes, agent->tail.processes == 1 ? "" : "es", in_flight,
		 word_s(in_flight), word_duration(flight.oldest_ns, age), ended);
}

/* ---- the state file ------------------------------------------------------------------ */

static void load_state(struct agent *agent)
{
	FILE *file = agent->options->state ? fopen(agent->options->state, "re") : NULL;
	uint64_t since = 0;

	agent->tail.since_ns = agent->started_ns;
	if (!file)
		return;
	if (fscanf(file, "%" SCNu64, &since) == 1 && since < agent->started_ns)
		agent->tail.since_ns = since;
	fclose(file);
}

static int save_state(struct agent *agent, uint64_t until_ns)
{
	char next[4096];
	FILE *file;
	int result;

	if (!agent->options->state)
		return 0;
	snprintf(next, sizeof(next), "%s.new", agent->options->state);
	file = fopen(next, "we");
	if (!file)
		return -1;
	print(file, "%" PRIu64 "\n", until_ns);
	result = fclose(file) ? -1 : rename(next, agent->options->state);
	return result;
}

/* ---- pruning ---------------------------------------------------------------------------- */

static void report_kept(void *context, const char *path, const char *why)
{
	(void)context;
	complain("%s: %s; not removed", path, why);
}

/* Does not repeat a message every minute. */
static void ignore(void *context, const char *path, const char *why)
{
	(void)context;
	(void)path;
	(void)why;
}

static void prune_one(struct agent *agent, const struct prune_wish *wish)
{
	const struct prune_sink sink = {.not_removed = report_kept, .unreadable = ignore};
	struct pruned done;

	if (prune(wish, &sink, &done)) {
		if (errno != ENOENT)
			complain("%s: %s", wish->directory, strerror(errno));
		return;
	}
	agent->pruned_traces += done.traces;
	agent->pruned_bytes += done.bytes;
	if (done.traces)
		trace_ledger_settle(wish->directory);
}

/* Applies the age limit first, then removes the oldest until the rest fits. */
static void prune_directory(struct agent *agent, const char *directory)
{
	const struct retention *keep = &agent->options->retention;
	struct prune_wish wish = {
		.directory = directory,
		.keep_bytes = UINT64_MAX,
		.keep_traces = UINT_MAX,
		.older_s = keep->older_s,
	};

	if (keep->older_s >= 0)
		prune_one(agent, &wish);
	wish.older_s = 0;
	wish.keep_bytes = keep->keep_bytes;
	if (keep->keep_bytes != UINT64_MAX)
		prune_one(agent, &wish);
	wish.keep_bytes = UINT64_MAX;
	wish.keep_traces = keep->keep_traces;
	if (keep->keep_traces != UINT_MAX)
		prune_one(agent, &wish);
}

static void prune_all(struct agent *agent)
{
	char **places = agent->tail.only ? agent->tail.only : agent->tail.places;

	for (size_t i = 0; places && places[i]; i++)
		prune_directory(agent, places[i]);
}

/* ---- begin and end ------------------------------------------------------------------------- */

/* Each open trace takes a descriptor. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int agent_open(struct agent *agent, const struct agent_options *options)
{
	*agent = (struct agent){.options = options};
	agent->subject = malloc(sizeof(*agent->subject));
	if (!agent->subject)
		return fail("out of memory");
	agent->sink = (struct tail_sink){on_handshake, on_lost, agent};
	agent->tail.sink = &agent->sink;
	agent->tail.only = options->directories;
	agent->started_ns = now_ns(CLOCK_REALTIME);
	load_state(agent);
	if (save_state(agent, agent->tail.since_ns))
		return fail("%s cannot be written: %s", options->state, strerror(errno));
	raise_limit();
	return 0;
}

static bool is_due(uint64_t *last, uint64_t now, uint64_t every)
{
	if (*last && now - *last < every)
		return false;
	*last = now;
	return true;
}

int agent_tick(struct agent *agent)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC), left;

	if (is_due(&agent->polled_ns, now, POLL_NS))
		tail_poll(&agent->tail);
	if (is_due(&agent->pruned_ns, now, PRUNE_NS))
		prune_all(agent);
	if (is_due(&agent->saved_ns, now, SAVE_NS))
		save_state(agent, now_ns(CLOCK_REALTIME) - LINGER_NS);
	left = agent->polled_ns + POLL_NS;
	now = now_ns(CLOCK_MONOTONIC);
	return left > now ? (int)((left - now) / 1000000) + 1 : 0;
}

void agent_close(struct agent *agent)
{
	uint64_t until = now_ns(CLOCK_REALTIME);

	tail_poll(&agent->tail);
	tail_settle(&agent->tail);
	if (save_state(agent, until))
		complain("%s cannot be written: %s", agent->options->state, strerror(errno));
	tail_close(&agent->tail);
	counts_free(&agent->counts);
	recent_free(&agent->recent);
	json_line_free(&agent->record);
	free(agent->subject);
}
