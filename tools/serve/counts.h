/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of ended handshakes. Their size is bounded, whatever the traces contain. */
#ifndef TOOLS_SERVE_COUNTS_H
#define TOOLS_SERVE_COUNTS_H

#include "view/subject.h"

/* At most this many series; further combinations are counted without cause and version. */
#define COUNTS_SERIES 1000
/* Upper bounds of the histogram's buckets, in seconds; the last bucket has none. */
#define COUNTS_BOUNDS {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
#define COUNTS_BUCKETS 16

struct count_series {
	uint16_t version;
	uint8_t role, outcome, cause, fault;
	bool resumed, other; /* `other`: several causes and versions together */
	uint64_t count;
};

struct count_durations {
	uint64_t buckets[COUNTS_BUCKETS]; /* not cumulative */
	uint64_t count;
	double sum_s;
};

/* Expiry is kept for this long, in periods: a certificate that was renewed is forgotten. */
#define COUNTS_PERIOD_S 600
#define COUNTS_PERIODS 6

struct count_expiry {
	uint64_t period; /* since the epoch */
	int64_t first_s; /* CLOCK_REALTIME: when the first of the peers' certificates expires */
};

struct counts {
	struct count_series *series;
	unsigned series_count;
	struct count_durations durations[3][4]; /* by enum tlstall_role and tlstall_outcome */
	uint64_t want_read, want_write, want_other;
	uint64_t lost; /* records */
	struct count_expiry expiry[3][COUNTS_PERIODS]; /* by enum tlstall_role */
};

void counts_add(struct counts *counts, const struct subject *subject);
/* Seconds since the epoch; 0: no certificate was seen in the hour before. */
int64_t counts_first_expiry(const struct counts *counts, uint8_t role, uint64_t now_s);
void counts_free(struct counts *counts);

#endif
