/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/maps.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "regular.h"

#define DELETED " (deleted)"

struct line {
	uint64_t start, end, offset;
	bool executable;
	const char *path;
};

static bool parse_line(char *text, struct line *out)
{
	char flags[5];
	int path = 0;

	text[strcspn(text, "\n")] = '\0';
	if (sscanf(text, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &out->start,
		   &out->end, flags, &out->offset, &path) != 4 ||
	    !path)
		return false;
	out->executable = flags[2] == 'x';
	out->path = text + path;
	return out->path[0] == '/' || !strcmp(out->path, "[vdso]");
}

static bool cut_deleted(char *path)
{
	size_t length = strlen(path), tail = strlen(DELETED);

	if (length <= tail || strcmp(path + length - tail, DELETED) != 0)
		return false;
	path[length - tail] = '\0';
	return true;
}

/*
 * Whether the line continues the last file's mapping. A second copy of a file begins with its
 * header.
 */
static bool goes_on(const struct maps *maps, const struct line *line, const char *last_path)
{
	return maps->count && line->offset && last_path && !strcmp(last_path, line->path);
}

static bool add(struct maps *maps, const struct line *line)
{
	struct mapped *list = reallocarray(maps->list, maps->count + 1, sizeof(*list));
	char *path = strdup(line->path);

	if (list)
		maps->list = list;
	if (!list || !path) {
		free(path);
		return false;
	}
	list[maps->count++] = (struct mapped){
		.start = line->start,
		.end = line->end,
		.offset = line->offset,
		.first_end = line->end,
		.executable = line->executable,
		.path = path,
	};
	return true;
}

static int read_lines(FILE *file, struct maps *out)
{
	char *text = NULL, *last = NULL;
	size_t room = 0;
	struct line line;
	int result = 0;

	while (result == 0 && getline(&text, &room, file) > 0) {
		if (!parse_line(text, &line))
			continue;
		if (goes_on(out, &line, last)) {
			out->list[out->count - 1].end = line.end;
			out->list[out->count - 1].executable |= line.executable;
			continue;
		}
		free(last);
		last = strdup(line.path);
		result = last && add(out, &line) ? 0 : -1;
	}
	/* a line that no memory was found for */
	if (!feof(file) && errno == ENOMEM)
		result = -1;
	free(text);
	free(last);
	return result;
}

int maps_read(pid_t pid, struct maps *out)
{
	char path[32];
	FILE *file;
	int result;

	*out = (struct maps){0};
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	result = read_lines(file, out);
	fclose(file);
	for (unsigned i = 0; i < out->count; i++)
		out->list[i].deleted = cut_deleted(out->list[i].path);
	return result;
}

void maps_free(struct maps *maps)
{
	for (unsigned i = 0; i < maps->count; i++)
		free(maps->list[i].path);
	free(maps->list);
	*maps = (struct maps){0};
}

const struct mapped *maps_find(const struct maps *maps, uint64_t address)
{
	for (unsigned i = 0; i < maps->count; i++) {
		if (address >= maps->list[i].start && address < maps->list[i].end)
			return &maps->list[i];
	}
	return NULL;
}

int maps_open(pid_t pid, const struct mapped *mapped)
{
	char path[PATH_MAX + 32];

	/* map_files needs more privileges than the path, but reaches deleted files */
	if (mapped->deleted)
		snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid,
			 mapped->start, mapped->first_end);
	else
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, mapped->path);
	return regular_open(path);
}
