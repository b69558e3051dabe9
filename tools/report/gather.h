/* SPDX-License-Identifier: Apache-2.0 */
/* Reads traces into a report, one handshake at a time. Never prints. */
#ifndef TOOLS_REPORT_GATHER_H
#define TOOLS_REPORT_GATHER_H

#include "report/codes.h"
#include "report/progress.h"
#include "report/report.h"
#include "view/subject.h"

/* A call of a handshake. */
struct gathered_call {
	uint64_t ticks;	   /* of its entry */
	uint64_t duration; /* ticks */
	uint32_t number;   /* of the handshake, its low 32 bits */
	uint32_t order;
	int32_t ret;
	uint8_t function, error, state;
};

/* One handshake with all that is known of it while its trace is open. */
struct gathered {
	const struct report_row *row;
	const struct subject *subject;
	const struct gathered_call *calls; /* only for a sink that wants them */
	size_t call_count;
	struct code_reader *codes;
};

/* From the beginning of its handshake to `ticks`; 0 if that was earlier. */
static inline uint64_t gathered_after_ns(const struct gathered *gathered, uint64_t ticks)
{
	const struct subject *subject = gathered->subject;
	uint64_t start = subject->h.start;

	return ticks > start ? trace_span_ns(subject->trace, ticks - start) : 0;
}

/* Gets each handshake as it is read: the page, JSON Lines. */
struct report_sink {
	int (*handshake)(void *context, const struct gathered *gathered); /* -1: out of memory */
	void (*lost)(void *context, uint64_t events); /* of a trace, overwritten; or NULL */
	void *context;
	bool calls; /* keep each handshake's calls for it */
	bool codes; /* name the code of each handshake, not of those in trouble alone */
};

/* What the kernel sees of a handshake that hangs in a living process, or what was kept of that. */
bool gather_look(struct trace *trace, const struct tlstall_handshake *h, struct kernel_view *out);

#define GATHER_MESSAGE 256

/*
 * Adds what a trace holds, `label` being its name for people; `sink` may be
 * NULL. -1: it could not be read, with the reason in `message`; 1: there is nothing in it yet.
 */
int gather_trace(struct report *report, const char *path, const char *label,
		 const struct report_sink *sink, struct progress *progress,
		 char message[GATHER_MESSAGE]);

#endif
