/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/counts.h"

#include <stdlib.h>
#include <time.h>

static bool is_same(const struct count_series *a, const struct count_series *b)
{
	return a->version == b->version && a->role == b->role && a->outcome == b->outcome &&
	       a->cause == b->cause && a->fault == b->fault && a->resumed == b->resumed &&
	       a->other == b->other;
}

static struct count_series *find(const struct counts *counts, const struct count_series *wanted)
{
	for (unsigned i = 0; i < counts->series_count; i++)
		if (is_same(&counts->series[i], wanted))
			return &counts->series[i];
	return NULL;
}

/* There is always room for the few series without cause and version. */
static struct count_series *find_or_add(struct counts *counts, struct count_series *wanted)
{
	struct count_series *found = find(counts, wanted), *series;

	if (!found && !wanted->other && counts->series_count >= COUNTS_SERIES) {
		wanted->other = true;
		wanted->version = wanted->cause = 0;
		found = find(counts, wanted);
	}
	if (found)
		return found;
	series = reallocarray(counts->series, counts->series_count + 1, sizeof(*series));
	if (!series)
		return NULL;
	counts->series = series;
	series[counts->series_count] = *wanted;
	return &series[counts->series_count++];
}

static void add_duration(struct count_durations *durations, uint64_t ns)
{
	static const double bounds[COUNTS_BUCKETS - 1] = COUNTS_BOUNDS;
	double seconds = (double)ns / 1e9;
	unsigned i = 0;

	while (i < COUNTS_BUCKETS - 1 && seconds > bounds[i])
		i++;
	durations->buckets[i]++;
	durations->count++;
	durations->sum_s += seconds;
}

/* Of the trace's decimal YYYYMMDDhhmmss in UTC; 0: unknown. */
static int64_t epoch_of(uint64_t date)
{
	uint64_t day = date / 1000000;
	struct tm t = {.tm_year = (int)(day / 10000 % 10000) - 1900,
		       .tm_mon = (int)(day / 100 % 100) - 1,
		       .tm_mday = (int)(day % 100),
		       .tm_hour = (int)(date / 10000 % 100),
		       .tm_min = (int)(date / 100 % 100),
		       .tm_sec = (int)(date % 100)};

	return date ? timegm(&t) : 0;
}

static void add_expiry(struct count_expiry *expiry, uint64_t seen_s, int64_t expires_s)
{
	uint64_t period = seen_s / COUNTS_PERIOD_S;
	struct count_expiry *place = &expiry[period % COUNTS_PERIODS];

	if (!seen_s || !expires_s || place->period > period)
		return;
	if (place->period < period || expires_s < place->first_s)
		*place = (struct count_expiry){.period = period, .first_s = expires_s};
}

int64_t counts_first_expiry(const struct counts *counts, uint8_t role, uint64_t now_s)
{
	uint64_t period = now_s / COUNTS_PERIOD_S;
	int64_t first = 0;

	for (unsigned i = 0; i < COUNTS_PERIODS; i++) {
		const struct count_expiry *expiry = &counts->expiry[role][i];

		if (expiry->first_s && expiry->period + COUNTS_PERIODS > period &&
		    (!first || expiry->first_s < first))
			first = expiry->first_s;
	}
	return first;
}

void counts_add(struct counts *counts, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	struct count_series wanted = {
		.version = h->version,
		.role = h->role < 3 ? h->role : 0,
		.outcome = h->outcome & 3,
		.cause = (uint8_t)subject->verdicts[0].cause,
		.fault = (uint8_t)subject->verdicts[0].fault,
		.resumed = h->flags & TLSTALL_HS_RESUMED,
	};
	struct count_series *series = find_or_add(counts, &wanted);

	if (series)
		series->count++;
	if (h->outcome == TLSTALL_OUTCOME_OK)
		add_expiry(counts->expiry[wanted.role], subject->facts.realtime_s,
			   epoch_of(h->not_after));
	add_duration(&counts->durations[wanted.role][wanted.outcome], subject->facts.age_ns);
	counts->want_read += h->want_read;
	counts->want_write += h->want_write;
	counts->want_other += h->want_other;
}

void counts_free(struct counts *counts)
{
	free(counts->series);
	*counts = (struct counts){0};
}
