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

struct output {
	const struct run_options *options;
	FILE *file;
	bool ours; /* the file is to be closed */
	bool colour;
	struct line_style style;
	struct fold fold;
	struct paragraphs paragraphs;
	struct summary summary;
	uint64_t last_ns;	     /* of the call that was told last, since the epoch */
	uint64_t lost;		     /* calls */
	uint64_t flush_ns;	     /* of the fold, since the epoch */
	unsigned untraced;	     /* processes whose trace could not be made */
	struct followed *known_from; /* whose handshake is in hand: most calls come in rows */
	struct tlstall_handshake known;
	struct follow_sink sink;
};

/* 0, or the exit status after the reason was explained. */
int output_open(struct output *output, const struct run_options *options);
/* After each poll: folded runs, and what was printed goes out. */
void output_tick(struct output *output);
/* The end: what went wrong, or the summary. `seen`: traces that there were. */
void output_end(struct output *output, unsigned seen);
/* -1: what was printed did not all arrive; the reason was explained. */
int output_close(struct output *output);

#endif
