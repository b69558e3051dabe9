/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_NOW_H
#define TOOLS_NOW_H

#include <stdint.h>
#include <time.h>

/* What a clock shows, in nanoseconds; 0: there is no such clock. */
static inline uint64_t now_ns(clockid_t clock)
{
	struct timespec now = {0};

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
