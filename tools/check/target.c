/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the ELF file that would run for what the user typed: PATH, then #! lines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"

#define SCRIPTS_MAX 5 /* deeper than the kernel goes */
#define LINE_SIZE 256 /* bytes of a #! line that the kernel reads */

static bool is_program(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Like execvp(): a name with a slash is a path. */
static bool find_in_path(const char *name, const char *path, char found[static PATH_MAX])
{
	if (strchr(name, '/'))
		return snprintf(found, PATH_MAX, "%s", name) < PATH_MAX;
	while (path && *name) {
		int length = (int)strcspn(path, ":");
		int n = snprintf(found, PATH_MAX, "%.*s%s%s", length, path, length ? "/" : "",
				 name);

		if (n < PATH_MAX && is_program(found))
			return true;
		path = path[length] ? path + length + 1 : NULL;
	}
	return false;
}

static int open_error(struct inquiry *inquiry, const char *path, int error)
{
	switch (-error) {
	case EISDIR:
		return set_error(inquiry->result, error, "%s is a directory, not a program", path);
	case EINVAL:
		return set_error(inquiry->result, error, "%s is not a regular file", path);
	case EACCES:
	case EPERM:
		return set_error(inquiry->result, error,
				 "no permission to read %s (run this as its owner or as root)",
				 path);
	}
	return set_error(inquiry->result, error, "%s: %s", path, strerror(-error));
}

/* The next word of a #! line, terminated in place; NULL: none. */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, " \t"), *end = word + strcspn(word, " \t");

	*line = *end ? end + 1 : end;
	*end = 0;
	return *word ? word : NULL;
}

/* `env` runs its first argument that is neither an option nor an assignment. */
static char *after_env(char *word, char **line)
{
	const char *name = strrchr(word, '/');

	if (strcmp(name ? name + 1 : word, "env"))
		return word;
	do
		word = next_word(line);
	while (word && (*word == '-' || strchr(word, '=')));
	return word;
}

/* The interpreter of the script in inquiry->fd: 1 and its name; 0: not a script; or an error. */
static int read_interpreter(struct inquiry *inquiry, const char *path, char *name)
{
	char buffer[LINE_SIZE], *line = buffer + 2, *word;
	ssize_t got = pread(inquiry->fd, buffer, sizeof(buffer) - 1, 0);

	if (got < 0)
		return set_error(inquiry->result, -errno, "%s: %s", path, strerror(errno));
	if (got == 0)
		return set_error(inquiry->result, -ENOEXEC, "%s is empty", path);
	if (got < 2 || buffer[0] != '#' || buffer[1] != '!')
		return 0;
	buffer[got] = 0;
	line[strcspn(line, "\n")] = 0;
	word = next_word(&line);
	word = word ? after_env(word, &line) : NULL;
	if (!word)
		return set_error(inquiry->result, -ENOEXEC, "%s names no interpreter after #!",
				 path);
	snprintf(name, LINE_SIZE, "%s", word);
	return 1;
}

static int open_program(struct inquiry *inquiry, const char *name, const char *script)
{
	char found[PATH_MAX], real[PATH_MAX];

	if (!*name)
		return set_error(inquiry->result, -ENOENT, "no program given");
	if (!find_in_path(name, inquiry->path, found)) {
		if (script)
			return set_error(inquiry->result, -ENOENT,
					 "%s, which runs %s: not found in PATH", name, script);
		return set_error(inquiry->result, -ENOENT, "%s: not found in PATH", name);
	}
	inquiry->fd = root_open(&inquiry->closure.root, found);
	if (inquiry->fd < 0)
		return open_error(inquiry, found, inquiry->fd);
	/* $ORIGIN is the directory of the real file */
	free(inquiry->result->program);
	inquiry->result->program =
		keep_text(inquiry->result, realpath(found, real) ? real : found);
	return inquiry->result->program ? 0 : -ENOMEM;
}

int find_program(struct inquiry *inquiry, const char *name)
{
	char interpreter[LINE_SIZE], script[PATH_MAX] = "";
	int ret = open_program(inquiry, name, NULL);

	for (int depth = 0; ret == 0; depth++) {
		ret = read_interpreter(inquiry, inquiry->result->program, interpreter);
		if (ret <= 0)
			return ret;
		snprintf(script, sizeof(script), "%s", inquiry->result->program);
		if (depth == SCRIPTS_MAX)
			return set_error(inquiry->result, -ELOOP,
					 "%s: too many nested #! interpreters", name);
		close(inquiry->fd);
		inquiry->fd = -1;
		ret = open_program(inquiry, interpreter, script);
		if (ret == 0)
			add_note(inquiry->result, script,
				 "is a script that %s runs; programs it starts are traced too: "
				 "check them as well",
				 inquiry->result->program);
	}
	return ret;
}
