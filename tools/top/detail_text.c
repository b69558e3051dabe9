/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live/detail.h"
#include "top/top.h"

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; text && *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Symbols take a while to read, so they are kept as long as the process stays the same. */
static struct symbols *symbols_for(struct top_detail *detail, pid_t pid)
{
	if (detail->symbols && detail->symbols_pid == pid)
		return detail->symbols;
	symbols_free(detail->symbols);
	detail->symbols = symbols_of_process(pid);
	detail->symbols_pid = pid;
	return detail->symbols;
}

void top_detail_update(struct top_detail *detail, struct subject *subject)
{
	char *text = NULL;
	size_t size;
	FILE *out;

	detail->ended = !subject;
	if (!subject)
		return;
	out = open_memstream(&text, &size);
	if (!out)
		return;
	detail_write(out, subject, symbols_for(detail, subject->pid_here));
	fclose(out);
	free(detail->text);
	detail->text = text;
	detail->lines = count_lines(text);
}

void top_detail_free(struct top_detail *detail)
{
	free(detail->text);
	symbols_free(detail->symbols);
	*detail = (struct top_detail){.text = NULL};
}
