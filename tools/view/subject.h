/* SPDX-License-Identifier: Apache-2.0 */
/* One handshake, ready to be shown: as recorded, with its facts and verdicts. */
#ifndef TOOLS_VIEW_SUBJECT_H
#define TOOLS_VIEW_SUBJECT_H

#include "diagnosis/diagnosis.h"
#include "kernel/kernel.h"
#include "trace/reader.h"

#define SUBJECT_VERDICTS 4

struct subject {
	struct trace *trace;
	struct tlstall_process process;
	struct tlstall_handshake h;
	struct kernel_view live;
	struct facts facts;
	struct verdict verdicts[SUBJECT_VERDICTS];
	unsigned verdict_count;
};

/*
 * Diagnoses `h`. `live`: what kernel_look() saw, NULL: nothing. Do not copy a
 * subject: its facts point into it.
 */
void subject_make(struct trace *trace, const struct tlstall_handshake *h,
		  const struct kernel_view *live, struct subject *out);
/* The same in two steps, for whoever adds what the neighbours tell between them. */
void subject_look(struct trace *trace, const struct tlstall_handshake *h,
		  const struct kernel_view *live, struct subject *out);
void subject_judge(struct subject *subject);
/* Whether it failed, was abandoned, hangs, or took long: worth a paragraph. */
bool subject_is_bad(const struct subject *subject);

#endif
