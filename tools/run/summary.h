/* SPDX-License-Identifier: Apache-2.0 */
/* -c: counts and times of calls as strace has them, outcomes and causes of handshakes. */
#ifndef TOOLS_RUN_SUMMARY_H
#define TOOLS_RUN_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "view/subject.h"

#define SUMMARY_FUNCTIONS 64
#define SUMMARY_ERRORS 16

struct summary {
	struct summary_row {
		char name[40];
		uint64_t calls, timed, ns, longest_ns;
		uint64_t errors[SUMMARY_ERRORS]; /* by SSL_ERROR_* */
	} rows[SUMMARY_FUNCTIONS];
	unsigned count;
	uint64_t outcomes[4]; /* by enum tlstall_outcome */
	uint64_t causes[CAUSE_COUNT];
	uint64_t ok_ns, longest_ok_ns; /* of the handshakes that succeeded */
};

/* Calls of SSL_get_error are not timed. */
void summary_call(struct summary *summary, const char *function, uint8_t error, bool timed,
		  uint64_t duration_ns);
void summary_handshake(struct summary *summary, const struct subject *subject);
/* -1: out of memory: calls are missing. */
int summary_print(const struct summary *summary, FILE *out);

#endif
