/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/metrics.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "live/flight.h"
#include "text/print.h"
#include "words/words.h"

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	print(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *role_of(uint8_t role)
{
	const char *word = word_role(role);

	return *word ? word : "unknown";
}

/* ---- handshakes that have ended -------------------------------------------------- */

static void write_series(FILE *out, const struct count_series *s)
{
	char buffer[WORD_SIZE];
	const char *version = s->other ? "other" : word_version(s->version, buffer);

	print(out,
	      "tlstall_handshakes_total{role=\"%s\",outcome=\"%s\",cause=\"%s\",fault=\"%s\","
	      "version=\"%s\",resumed=\"%s\"} %" PRIu64 "\n",
	      role_of(s->role), word_outcome(s->outcome), s->other ? "other" : cause_name(s->cause),
	      fault_name(s->fault), version, s->resumed ? "true" : "false",
	      s->count);
}

static void write_totals(const struct counts *counts, FILE *out)
{
	head(out, "tlstall_handshakes_total", "counter",
	     "Ended handshakes, by outcome and cause.");
	for (unsigned i = 0; i < counts->series_count; i++)
		write_series(out, &counts->series[i]);
	head(out, "tlstall_handshake_retries_total", "counter",
	     "Calls during handshakes that returned with a WANT error, by what they waited for.");
	print(out, "tlstall_handshake_retries_total{want=\"read\"} %" PRIu64 "\n", counts->want_read);
	print(out, "tlstall_handshake_retries_total{want=\"write\"} %" PRIu64 "\n",
	      counts->want_write);
	print(out, "tlstall_handshake_retries_total{want=\"other\"} %" PRIu64 "\n",
	      counts->want_other);
	head(out, "tlstall_lost_events_total", "counter",
	     "Records that the traced programs overwrote before they were read.");
	print(out, "tlstall_lost_events_total %" PRIu64 "\n", counts->lost);
}

static void write_histogram(FILE *out, const char *role, const char *outcome,
			    const struct count_durations *d)
{
	static const double bounds[] = COUNTS_BOUNDS;
	uint64_t below = 0;

	for (unsigned i = 0; i < COUNTS_BUCKETS - 1; i++) {
		below += d->buckets[i];
		print(out,
		      "tlstall_handshake_duration_seconds_bucket{role=\"%s\",outcome=\"%s\",le=\"%g\"} "
		      "%" PRIu64 "\n",
		      role, outcome, bounds[i], below);
	}
	print(out,
	      "tlstall_handshake_duration_seconds_bucket{role=\"%s\",outcome=\"%s\",le=\"+Inf\"} "
	      "%" PRIu64 "\n",
	      role, outcome, d->count);
	print(out, "tlstall_handshake_duration_seconds_sum{role=\"%s\",outcome=\"%s\"} %.9g\n", role,
	      outcome, d->sum_s);
	print(out, "tlstall_handshake_duration_seconds_count{role=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
	      role, outcome, d->count);
}

static void write_durations(const struct counts *counts, FILE *out)
{
	head(out, "tlstall_handshake_duration_seconds", "histogram",
	     "Duration of handshakes in seconds, from the first call to the end.");
	for (uint8_t role = 0; role < 3; role++)
		for (uint8_t outcome = 0; outcome < 4; outcome++)
			if (counts->durations[role][outcome].count)
				write_histogram(out, role_of(role), word_outcome(outcome),
						&counts->durations[role][outcome]);
}

static void write_expiry(const struct counts *counts, FILE *out)
{
	head(out, "tlstall_peer_certificate_not_after_timestamp_seconds", "gauge",
	     "When the first certificate expires that peers sent in the past hour, in seconds "
	     "since the epoch.");
	for (uint8_t role = 0; role < 3; role++) {
		int64_t first = counts_first_expiry(counts, role, (uint64_t)time(NULL));

		if (first)
			print(out,
			      "tlstall_peer_certificate_not_after_timestamp_seconds{role=\"%s\"} "
			      "%" PRId64 "\n",
			      role_of(role), first);
	}
}

/* Addresses come from our own words: nothing in them needs to be escaped. */
static void write_peers(struct agent *agent, FILE *out)
{
	if (!agent->options->peers)
		return;
	peers_sort(&agent->peers);
	head(out, "tlstall_peer_failures_total", "counter",
	     "Handshakes that did not end well, of the peers with most of them.");
	for (unsigned i = 0; i < agent->peers.count && i < agent->options->peers; i++) {
		const struct peer_count *peer = &agent->peers.list[i];

		print(out, "tlstall_peer_failures_total{role=\"%s\",peer=\"%s\"} %" PRIu64 "\n",
		      role_of(peer->role), peer->address, peer->bad);
	}
}

/* ---- those in flight ----------------------------------------------------------------- */

static void write_in_flight(struct agent *agent, FILE *out)
{
	struct tail_stalled stalled;
	struct tail_flight flight;

	tail_flight(&agent->tail, &flight);
	tail_stalled(&agent->tail, &stalled);
	head(out, "tlstall_handshakes_in_flight", "gauge",
	     "Handshakes in flight.");
	for (uint8_t role = 0; role < 3; role++)
		print(out, "tlstall_handshakes_in_flight{role=\"%s\"} %u\n", role_of(role),
		      flight.count[role]);
	head(out, "tlstall_oldest_in_flight_seconds", "gauge",
	     "Age in seconds of the oldest handshake in flight; 0 if there is none.");
	print(out, "tlstall_oldest_in_flight_seconds %.9g\n", (double)flight.oldest_ns / 1e9);
	head(out, "tlstall_stalled_handshakes", "gauge",
	     "Handshakes in flight for more than a second, by their cause so far.");
	for (unsigned cause = 0; cause < CAUSE_COUNT; cause++)
		if (stalled.causes[cause])
			print(out, "tlstall_stalled_handshakes{cause=\"%s\",fault=\"%s\"} %u\n",
			      cause_name(cause), fault_name(stalled.faults[cause]),
			      stalled.causes[cause]);
}

/* ---- the agent itself -------------------------------------------------------------------- */

static void write_directory(const struct agent *agent, FILE *out)
{
	head(out, "tlstall_traced_processes", "gauge", "Running processes with a trace.");
	print(out, "tlstall_traced_processes %u\n", agent->tail.processes);
	head(out, "tlstall_untraced_processes", "gauge",
	     "Running processes that could not make a trace, and left a note.");
	print(out, "tlstall_untraced_processes %u\n", agent->tail.untraced);
	head(out, "tlstall_unreadable_traces", "gauge", "Traces that cannot be read.");
	print(out, "tlstall_unreadable_traces %u\n", agent->tail.unreadable);
	head(out, "tlstall_pruned_traces_total", "counter",
	     "Traces of ended processes that were removed.");
	print(out, "tlstall_pruned_traces_total %" PRIu64 "\n", agent->pruned_traces);
	head(out, "tlstall_pruned_bytes_total", "counter", "Disk space that removed traces took, in bytes.");
	print(out, "tlstall_pruned_bytes_total %" PRIu64 "\n", agent->pruned_bytes);
}

static uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t size, pages = 0;

	if (file && fscanf(file, "%" SCNu64 " %" SCNu64, &size, &pages) != 2)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds_of(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static void write_process(const struct agent *agent, FILE *out)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	head(out, "process_cpu_seconds_total", "counter", "CPU time of tlstall serve, in seconds.");
	print(out, "process_cpu_seconds_total %.9g\n",
	      seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime));
	head(out, "process_resident_memory_bytes", "gauge", "Resident memory of tlstall serve, in bytes.");
	print(out, "process_resident_memory_bytes %" PRIu64 "\n", resident_bytes());
	head(out, "process_start_time_seconds", "gauge",
	     "When tlstall serve started, in seconds since the epoch.");
	print(out, "process_start_time_seconds %.3f\n", (double)agent->started_ns / 1e9);
	head(out, "tlstall_build_info", "gauge", "Always 1.");
	print(out, "tlstall_build_info{version=\"%s\"} 1\n", TLSTALL_VERSION);
}

void metrics_write(struct agent *agent, FILE *out)
{
	write_totals(&agent->counts, out);
	write_durations(&agent->counts, out);
	write_expiry(&agent->counts, out);
	write_peers(agent, out);
	write_in_flight(agent, out);
	write_directory(agent, out);
	write_process(agent, out);
}
