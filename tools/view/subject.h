/* SPDX-License-Identifier: Apache-2.0 */
/* One handshake, ready to be shown: as recorded, with its facts and verdicts. */
#ifndef TOOLS_VIEW_SUBJECT_H
#define TOOLS_VIEW_SUBJECT_H

#include "diagnosis/diagnosis.h"
#include "kernel/kernel.h"
#include "trace/reader.h"

#define SUBJECT_VERDICTS 4
#define SUBJECT_PID_SIZE 32

struct subject {
	struct trace *trace;
	struct tlstall_process process;
	unsigned slot;	/* of `trace`, where live/ read it */
	pid_t pid_here; /* its id on this host: another one where it is in a container */
	struct tlstall_handshake h;
	struct kernel_view live;
	struct facts facts;
	struct facts then; /* at the look, where that is past */
	struct verdict verdicts[SUBJECT_VERDICTS];
	unsigned verdict_count;
};

/*
 * Diagnoses `h`. `live`: what kernel_look() saw, NULL: nothing. Do not copy a
 * subject: its facts point into it.
 */
void subject_make(struct trace *trace, const struct tlstall_handshake *h,
		  const struct kernel_view *live, struct subject *out);
/* The same in two steps, for callers that add what the neighbors show in between. */
void subject_look(struct trace *trace, const struct tlstall_handshake *h,
		  const struct kernel_view *live, struct subject *out);
void subject_judge(struct subject *subject);
/* "4123"; in a container "26271(1)", the id on this host first. */
const char *subject_pid(const struct subject *subject, char buffer[SUBJECT_PID_SIZE]);
const char *process_pid(pid_t here, uint32_t own, char buffer[SUBJECT_PID_SIZE]);
/* Of its failing op, else of its first one. */
uint32_t subject_stack(const struct subject *subject);
/* Whether it failed, was abandoned, hangs, or took long: worth a paragraph. */
bool subject_is_bad(const struct subject *subject);

#endif
