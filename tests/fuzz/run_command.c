/* SPDX-License-Identifier: Apache-2.0 */
#include "run_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harmless.h"

#define WORDS_MOST 8

/* Memory that is written to like a file. */
struct stream {
	FILE *file;
	char *text;
	size_t length;
};

static void stream_open(struct stream *stream)
{
	stream->file = open_memstream(&stream->text, &stream->length);
	if (!stream->file)
		abort();
}

char *run_command(const struct command *command, const char *const *words)
{
	FILE *usual[] = {stdout, stderr};
	char *copies[WORDS_MOST + 1] = {0}, *given[WORDS_MOST + 1];
	struct stream out, errors;
	int argc = 0;

	stream_open(&out);
	stream_open(&errors);
	for (; argc < WORDS_MOST && words[argc]; argc++)
		copies[argc] = strdup(words[argc]);
	memcpy(given, copies, sizeof(given)); /* the command may reorder them */
	stdout = out.file;
	stderr = errors.file;
	command->run(argc, given);
	stdout = usual[0];
	stderr = usual[1];
	fclose(out.file);
	fclose(errors.file);
	need_harmless(errors.text, true);
	free(errors.text);
	for (int i = 0; i < argc; i++)
		free(copies[i]);
	return out.text;
}
