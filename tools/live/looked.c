/* SPDX-License-Identifier: Apache-2.0 */
#include "live/looked.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "live/stack.h"

/* Longer than the shortest stall (STALL_NS). */
#define AGAIN_NS 400000000ull

static int longest_first(const void *a, const void *b)
{
	const struct subject *x = *(struct subject *const *)a, *y = *(struct subject *const *)b;

	if (x->facts.age_ns != y->facts.age_ns)
		return x->facts.age_ns > y->facts.age_ns ? -1 : 1;
	return x->h.number < y->h.number ? -1 : 1;
}

/* Whose lock it is that a call waits for, only its stack tells. */
static void add_stack(const struct look *look, uint64_t number, struct kernel_view *view)
{
	const struct unwound *unwound = look_stack(look, number);
	struct symbols *symbols;

	if (view->wait != TLSTALL_WAIT_FUTEX || !unwound)
		return;
	symbols = symbols_of_process(look->pid);
	if (symbols)
		stack_join(unwound, symbols, view->stack, sizeof(view->stack));
	symbols_free(symbols);
}

static bool add_subject(struct looked *looked, const struct tlstall_handshake *h)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	struct kernel_view view;

	if (!subject)
		return false;
	look_view(&looked->look, h->number, &view);
	add_stack(&looked->look, h->number, &view);
	subject_make(looked->trace, h, &view, subject);
	looked->subjects[looked->count++] = subject;
	return true;
}

static bool make_subjects(struct looked *looked)
{
	struct tlstall_handshake h;
	bool fits = true;

	looked->trace = look_trace(&looked->look);
	looked->subjects = calloc(looked->look.in_handshake + 1, sizeof(struct subject *));
	if (!looked->trace || !looked->subjects)
		return false;
	for (unsigned i = 0; i < looked->look.in_handshake && fits; i++) {
		if (!trace_handshake(looked->trace, i, &h))
			fits = add_subject(looked, &h);
	}
	if (looked->count)
		qsort(looked->subjects, looked->count, sizeof(struct subject *), longest_first);
	return fits;
}

static int look_again(struct looked *looked, uint64_t after_ns, char *why, size_t size)
{
	const struct timespec pause = {.tv_sec = (time_t)(after_ns / 1000000000),
				       .tv_nsec = (long)(after_ns % 1000000000)};
	struct look before = looked->look;
	int result;

	nanosleep(&pause, NULL);
	result = look_take(before.pid, &looked->look, why, size);
	if (!result)
		look_compare(&before, &looked->look);
	look_free(&before);
	return result;
}

static int with_subjects(struct looked *looked, char *why, size_t size)
{
	if (make_subjects(looked))
		return 0;
	snprintf(why, size, "out of memory");
	looked_free(looked);
	return -1;
}

int looked_take_later(const struct look *before, struct looked *out, char *why, size_t size)
{
	*out = (struct looked){.count = 0};
	if (look_take(before->pid, &out->look, why, size))
		return -1;
	look_compare(before, &out->look);
	return with_subjects(out, why, size);
}

int looked_take(pid_t pid, uint64_t again_ns, struct looked *out, char *why, size_t size)
{
	*out = (struct looked){.count = 0};
	if (look_take(pid, &out->look, why, size))
		return -1;
	if (!again_ns && look_is_undated(&out->look))
		again_ns = AGAIN_NS;
	if (again_ns && out->look.in_handshake && look_again(out, again_ns, why, size))
		return -1;
	return with_subjects(out, why, size);
}

void looked_free(struct looked *looked)
{
	for (unsigned i = 0; i < looked->count; i++)
		free(looked->subjects[i]);
	free(looked->subjects);
	trace_close(looked->trace);
	look_free(&looked->look);
	*looked = (struct looked){.look = {.memory = -1}};
}
