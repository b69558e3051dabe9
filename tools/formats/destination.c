/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/destination.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "trace/directory.h"

int destination_open(struct destination *to, const char *path)
{
	to->path = path && strcmp(path, "-") != 0 ? path : NULL;
	to->out = to->path ? fopen(to->path, "we") : stdout;
	return to->out ? 0 : fail("%s cannot be written: %s", to->path, strerror(errno));
}

/* Removes only regular files, not pipes or devices (/dev/full). */
static void destination_discard(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == 0 && S_ISREG(status.st_mode))
		unlink(path);
}

int destination_keep(struct destination *to, int result)
{
	if (result == 0 && (fflush(to->out) != 0 || ferror(to->out)))
		result = -1;
	if (to->path && fclose(to->out) != 0)
		result = -1;
	if (result == 0)
		return 0;
	if (to->path)
		fail("writing the %s to %s failed: %s", to->what, to->path, strerror(errno));
	else
		fail("writing the %s failed: %s", to->what, strerror(errno));
	return EXIT_FAILURE;
}

int destination_close(struct destination *to, int result)
{
	int status = destination_keep(to, result);

	if (status && to->path)
		destination_discard(to->path);
	return status;
}

int find_inputs(struct inputs *inputs, char **arguments, int count)
{
	int status = 0;

	for (int i = 0; i < count; i++) {
		if (inputs_add(inputs, arguments[i]) == 0)
			continue;
		status = EXIT_FAILURE;
		if (errno == ENODATA)
			complain("no trace in %s (tlstall run -d %s -- PROGRAM makes one)",
				 arguments[i], arguments[i]);
		else if (errno == ESPIPE)
			complain("%s is a pipe or a device, not a trace ('-' reads standard input)", arguments[i]);
		else
			complain("%s: %s", arguments[i], strerror(errno));
	}
	return status;
}

int find_directories(char **names)
{
	for (; names && *names; names++) {
		DIR *directory = opendir(*names);

		if (directory)
			closedir(directory);
		else if (errno == ENOENT)
			complain("%s does not exist (its traces are followed when it does)", *names);
		else
			return fail("%s: %s", *names, strerror(errno));
	}
	return 0;
}

int read_inputs(struct report *report, const struct inputs *inputs, const struct report_sink *sink)
{
	struct progress progress;
	char message[GATHER_MESSAGE];
	int status = 0, result;

	progress_start(&progress, stderr, inputs->count);
	for (size_t i = 0; i < inputs->count; i++) {
		const struct input *input = &inputs->list[i];

		progress.file = i;
		if (input->failed) {
			report_note(report, "%s: this process ran untraced (%s): %s", input->label,
				    input->failed, trace_note_words(input->failed));
			continue;
		}
		result = gather_trace(report, input->path, input->label, sink, &progress, message);
		if (result > 0 && input->listed)
			report_note(report, "%s: %s", input->label, message);
		if (result == 0 || (result > 0 && input->listed))
			continue;
		progress_wipe(&progress);
		status = fail("%s: %s", input->label, message);
	}
	progress_wipe(&progress);
	return status;
}
