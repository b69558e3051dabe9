/* SPDX-License-Identifier: Apache-2.0 */
#include "look/regions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse(char *text, struct region *out)
{
	char flags[5];
	int path = 0;

	text[strcspn(text, "\n")] = '\0';
	if (sscanf(text, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &out->start,
		   &out->end, flags, &out->offset, &path) != 4 ||
	    !path || out->start >= out->end)
		return false;
	out->readable = flags[0] == 'r';
	out->writable = flags[1] == 'w';
	out->executable = flags[2] == 'x';
	out->path = text + path;
	return true;
}

static int add(struct regions *regions, const struct region *region)
{
	struct region *list = regions->list;

	/* grows at each power of two */
	if (!(regions->count & (regions->count - 1)))
		list = reallocarray(list, regions->count ? 2 * regions->count : 1, sizeof(*list));
	if (!list)
		return -1;
	regions->list = list;
	list[regions->count] = *region;
	list[regions->count].path = strdup(region->path);
	if (!list[regions->count].path)
		return -1;
	regions->count++;
	return 0;
}

int regions_read(pid_t pid, struct regions *out)
{
	struct region region;
	char path[32], *text = NULL;
	size_t room = 0;
	int result = 0;
	FILE *file;

	*out = (struct regions){0};
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (!result && getline(&text, &room, file) > 0) {
		if (parse(text, &region))
			result = add(out, &region);
	}
	/* a line that no memory was found for */
	if (!feof(file) && errno == ENOMEM)
		result = -1;
	free(text);
	fclose(file);
	if (result) {
		regions_free(out);
		errno = ENOMEM;
	}
	return result;
}

void regions_free(struct regions *regions)
{
	for (unsigned i = 0; i < regions->count; i++)
		free(regions->list[i].path);
	free(regions->list);
	*regions = (struct regions){0};
}

const struct region *regions_find(const struct regions *regions, uint64_t address)
{
	unsigned from = 0, to = regions->count;

	while (from < to) {
		unsigned middle = from + (to - from) / 2;
		const struct region *region = &regions->list[middle];

		if (address >= region->start && address < region->end)
			return region;
		if (address < region->start)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}
