/* SPDX-License-Identifier: Apache-2.0 */
/* What `tlstall run` prints: calls as they happen, a diagnosis or a summary at the end. */
#ifndef TOOLS_RUN_OUTPUT_H
#define TOOLS_RUN_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "run/fold.h"
#include "run/follow.h"
#include "run/options.h"
#include "run/paragraphs.h"
#include "run/summary.h"
#include "text/json_line.h"

struct output {
	const struct run_options *options;
	FILE *file;
	bool ours;     /* the file is to be closed */
	bool filter_checked;
	int error;     /* errno of what could not be written first */
	void *records; /* of a format of records; NULL: words */
	struct json_line record;
	bool color;
	struct line_style style;
	struct fold fold;
	struct paragraphs paragraphs;
	struct summary summary;
	uint64_t last_ns;	     /* of the call that was told last, since the epoch */
	uint64_t lost;		     /* calls */
	uint64_t until_ns;	     /* CLOCK_MONOTONIC: later, lines are only counted; 0: never */
	uint64_t left_out;	     /* ... so many calls */
	uint64_t flush_ns;	     /* of the fold, since the epoch */
	unsigned untraced;	     /* processes whose trace could not be made */
	struct followed *known_from; /* the subject of the last handshake: consecutive calls mostly
				        have the same one */
	struct tlstall_handshake known;
	struct follow_sink sink;
};

/* 0, or the exit status after the reason was explained. */
int output_open(struct output *output, const struct run_options *options);
/* After each poll: prints folded runs and flushes the output. */
void output_tick(struct output *output);
/* Somebody waits for the end: no more lines of calls after a second. Records are all written. */
void output_hurry(struct output *output);
/* At the end: prints what went wrong, or the summary. `seen`: number of traces. */
void output_end(struct output *output, unsigned seen);
/* Keeps the reason of a failure for output_close(). */
void output_flush(struct output *output);
/* -1: not all output could be written; the reason was explained. */
int output_close(struct output *output);

#endif
