/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of many handshakes: percentiles, and groups of similar ones. */
#ifndef TOOLS_REPORT_FIGURES_H
#define TOOLS_REPORT_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "report/report.h"

/* Handshake times; each is one that was measured (nearest rank). */
struct percentiles {
	uint64_t p50, p90, p99, max;
};

struct group {
	const struct report_row *worst; /* stands for all where they are alike */
	size_t count;
	uint64_t total_ns;
	struct percentiles time;
	size_t outcomes[4]; /* enum tlstall_outcome */
	size_t stalled;	    /* of those that are ok: ROW_TROUBLED */
};

struct groups {
	struct group *list; /* the largest first */
	size_t count;
};

enum grouping {
	GROUP_ALL_OK,  /* those that are ok, in one group */
	GROUP_TROUBLE, /* those in trouble, by cause, fault, peer and path */
	GROUP_SESSION, /* all, by version, cipher and resumption */
	GROUP_RETRIES, /* all, by retries_bucket(); ordered by it */
};

/* -1: out of memory. The groups point into the rows. */
int groups_make(const struct report *report, enum grouping grouping, struct groups *out);
void groups_free(struct groups *groups);

/* 0, 1, 2, 3, then a bucket for each power of two; and the first and last value of a bucket. */
unsigned retries_bucket(uint32_t retries);
void retries_range(unsigned bucket, uint32_t *first, uint32_t *last);

#endif
