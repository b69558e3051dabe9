/* SPDX-License-Identifier: Apache-2.0 */
#include "live/untraced.h"

#include <stdlib.h>

#include "live/looked.h"
#include "live/named.h"

/* They belong to the list afterwards. */
static int take_subjects(struct live *live, struct looked *looked)
{
	struct subject **subjects = reallocarray(
		live->subjects, live->subject_count + looked->count + 1, sizeof(*subjects));

	if (!subjects)
		return -1;
	live->subjects = subjects;
	for (unsigned i = 0; i < looked->count; i++)
		subjects[live->subject_count++] = looked->subjects[i];
	looked->count = 0;
	return 0;
}

static int keep(struct live *live, struct looked *looked)
{
	struct looked *list =
		reallocarray(live->looked, live->looked_count + 1, sizeof(*live->looked));

	if (list)
		live->looked = list;
	if (!list || take_subjects(live, looked)) {
		looked_free(looked);
		return -1;
	}
	list[live->looked_count++] = *looked;
	return 0;
}

static int add(struct live *live, pid_t pid)
{
	struct looked looked;
	char why[256];

	if (looked_take(pid, 0, &looked, why, sizeof(why)))
		return 0;
	if (looked.look.libraries.count)
		return keep(live, &looked);
	looked_free(&looked);
	return 0;
}

int untraced_add(struct live *live, struct live_file *(*find)(const struct live *, pid_t))
{
	struct named named;
	int result = 0;

	if (live->pid)
		return find(live, live->pid) ? 0 : add(live, live->pid);
	if (named_find(NULL, &named))
		return -1;
	for (unsigned i = 0; i < named.count && !result; i++) {
		if (!find(live, named.list[i]))
			result = add(live, named.list[i]);
	}
	named_free(&named);
	return result;
}

void untraced_free(struct live *live)
{
	for (unsigned i = 0; i < live->looked_count; i++)
		looked_free(&live->looked[i]);
	free(live->looked);
	live->looked = NULL;
	live->looked_count = 0;
}
