/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a process's memory an SSL object may begin. */
#ifndef TOOLS_LOOK_SCAN_H
#define TOOLS_LOOK_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "look/library.h"
#include "look/regions.h"

struct scan {
	int memory, pages; /* descriptors: /proc/PID/mem and /proc/PID/pagemap, -1: none */
	const struct regions *regions;
	const struct libraries *libraries;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	uint64_t searched;    /* bytes */
	uint64_t skipped;     /* bytes that there was no time for */
};

/*
 * Calls `each` for every address whose first words look like those of an SSL: one is
 * the SSL_METHOD of a libssl. Most are one; some are remains of one, or chance. With
 * false the search ends. -1: no memory.
 */
int scan_run(struct scan *scan,
	     bool (*each)(uint64_t address, const struct libssl_copy *library, void *context),
	     void *context);

#endif
