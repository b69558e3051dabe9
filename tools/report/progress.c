/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "now.h"
#include "report/progress.h"
#include "text/print.h"

#define FIRST_AFTER_NS 300000000ull
#define EVERY_NS 100000000ull
#define WIDTH 40 /* characters */

void progress_start(struct progress *progress, FILE *out, size_t files)
{
	*progress = (struct progress){.out = isatty(fileno(out)) ? out : NULL,
				      .start_ns = now_ns(CLOCK_MONOTONIC),
				      .files = files};
}

void progress_draw(struct progress *progress, uint64_t done, uint64_t total)
{
	char bar[WIDTH + 1];
	uint64_t now;
	double share;

	if (!progress->out)
		return;
	now = now_ns(CLOCK_MONOTONIC);
	if (now - progress->start_ns < FIRST_AFTER_NS || now - progress->drawn_ns < EVERY_NS)
		return;
	share = ((double)progress->file + (total ? (double)done / (double)total : 0)) /
		(double)progress->files;
	for (int i = 0; i < WIDTH; i++)
		bar[i] = i < share * WIDTH ? '#' : '.';
	bar[WIDTH] = '\0';
	print(progress->out, "\r[%s] %3.0f %%  trace %zu of %zu", bar, 100 * share,
	      progress->file + 1, progress->files);
	progress->shown = true;
	progress->drawn_ns = now;
}

void progress_wipe(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", progress->out);
	progress->shown = false;
}
