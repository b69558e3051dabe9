/* SPDX-License-Identifier: Apache-2.0 */
/* Gathers what is asked, and answers it. See check.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"

#define SHIM_NAME "libtlstall.so"

char *check_find_shim(char *path, size_t size)
{
	static const char *const places[] = {"/" SHIM_NAME, "/../" TLSTALL_LIBDIR "/tlstall/" SHIM_NAME};
	char self[PATH_MAX], candidate[2 * PATH_MAX], real[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	bool found = false;

	if (length <= 0)
		return NULL;
	self[length] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < 2 && !found; i++) {
		snprintf(candidate, sizeof(candidate), "%s%s", self, places[i]);
		found = realpath(candidate, real) &&
			(size_t)snprintf(path, size, "%s", real) < size;
	}
	return found ? path : NULL;
}

/* Reads which machine the shim is built for. Without a shim, it is taken to be this tool's. */
static void read_shim(struct inquiry *inquiry, const char *shim)
{
	struct root ours = ROOT_OURS;
	int fd;

	if (shim)
		snprintf(inquiry->shim, sizeof(inquiry->shim), "%s", shim);
	else if (!check_find_shim(inquiry->shim, sizeof(inquiry->shim)))
		*inquiry->shim = 0;
	fd = *inquiry->shim ? root_open(&ours, inquiry->shim) : -1;
	if (fd < 0)
		fd = root_open(&ours, "/proc/self/exe");
	if (fd < 0)
		return;
	inquiry->result->starved |= object_read(fd, &inquiry->shim_object) == -ENOMEM;
	close(fd);
}

int inquiry_begin(struct inquiry *inquiry, const struct check_options *options,
		  struct check_result *result, const char *target)
{
	static const struct check_options none;

	options = options ? options : &none;
	*result = (struct check_result){.target = strdup(target)};
	*inquiry = (struct inquiry){
		.result = result,
		.closure.root = ROOT_OURS,
		.closure.library_path =
			options->library_path ? options->library_path : getenv("LD_LIBRARY_PATH"),
		.path = options->path ? options->path : getenv("PATH"),
		.uid = getuid(),
		.gid = getgid(),
		.fd = -1,
	};
	read_shim(inquiry, options->shim);
	inquiry->shim_is_missing = options->needs_shim && !*inquiry->shim;
	return result->target ? 0 : set_error(result, -ENOMEM, "out of memory");
}

int inquiry_end(struct inquiry *inquiry, int ret)
{
	struct check_result *result = inquiry->result;

	if (inquiry->closure.starved || result->starved) {
		/* whatever else seems wrong may follow from that */
		free(result->error);
		result->error = NULL;
		ret = set_error(result, -ENOMEM, "out of memory");
	}
	closure_free(&inquiry->closure);
	object_free(&inquiry->shim_object);
	if (inquiry->fd >= 0)
		close(inquiry->fd);
	return ret;
}

static int bad_program(struct inquiry *inquiry, int error)
{
	const char *path = inquiry->result->program;

	if (error == -ENOEXEC)
		return set_error(inquiry->result, error,
				 "%s is not an ELF program, nor a #! script", path);
	if (error == -EBADMSG)
		return set_error(inquiry->result, error, "%s is a truncated or damaged ELF file",
				 path);
	return set_error(inquiry->result, error, "%s: %s", path, strerror(-error));
}

/* A process has all that it needs, but may have changed its root since. */
static void note_missing(struct inquiry *inquiry)
{
	const struct closure *closure = &inquiry->closure;

	if (inquiry->running)
		return;
	for (size_t i = 1; i < closure->count; i++)
		if (!closure->list[i].path && !closure->list[i].same &&
		    closure->list[i].parent >= 0)
			add_note(inquiry->result, NULL, "%s, needed by %s, was not found",
				 closure->list[i].name,
				 library_name(&closure->list[closure->list[i].parent]));
}

/*
 * Finds TLS other than a shared OpenSSL. What the program itself contains counts before its
 * libraries'.
 */
static bool find_others(struct inquiry *inquiry)
{
	bool found = find_other_tls(inquiry, 0, OTHER_NEAR | OTHER_DECIDES);

	if (!found)
		found = find_inside(inquiry);
	if (find_other_tls(inquiry, 0, OTHER_FAR | (found ? 0 : OTHER_DECIDES)))
		found = true;
	return found;
}

static void find_ways(struct inquiry *inquiry)
{
	struct check_result *result = inquiry->result;
	size_t before = result->reasons.count;
	bool seen = find_users(inquiry, 0);

	seen |= find_plugins(inquiry);
	if (seen || result->ways.count) {
		find_other_tls(inquiry, 0, 0);
		return;
	}
	if (find_others(inquiry) || result->reasons.count > before)
		return;
	add_reason(result, CHECK_REASON_NO_TLS, NULL, "no TLS found in it or its libraries");
	if (inquiry->closure.list[0].object.imports & OBJECT_BIT(dlopen))
		add_note(result, NULL,
			 "can load more libraries at run time (dlopen); which ones is unknown");
}

int examine(struct inquiry *inquiry)
{
	struct check_result *result = inquiry->result;
	const struct object *program;
	int ret = closure_add(&inquiry->closure, inquiry->fd, result->program);

	if (ret < 0)
		return bad_program(inquiry, ret);
	program = &inquiry->closure.list[0].object;
	if (program->type == 3 && !program->interpreter && !program->pie && program->soname)
		return set_error(result, -ENOEXEC, "%s is a shared library, not a program",
				 result->program);
	find_obstacles(inquiry);
	note_missing(inquiry);
	find_ways(inquiry);
	result->seen = result->ways.count && !inquiry->blocked;
	result->calls = result->calls && !result->seen && !inquiry->blocked;
	return 0;
}

int check_program(const char *program, const struct check_options *options,
		  struct check_result *result)
{
	struct inquiry inquiry;
	int ret = inquiry_begin(&inquiry, options, result, program);

	if (ret == 0)
		ret = find_program(&inquiry, program);
	if (ret == 0)
		ret = examine(&inquiry);
	return inquiry_end(&inquiry, ret);
}
