/* SPDX-License-Identifier: Apache-2.0 */
/* Looks on disk for the TLS plugins of programs known to have some. */
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"

#define PLUGINS_MAX 32 /* of one program */

struct host {
	const char *name, *program, *library;
	enum check_way way;
	const char *plugins;
};

static const struct host hosts[] = {
#define HOST(name, program, library, way, plugins)                                                 \
	{name, program, library, CHECK_WAY_##way, plugins},
#include "check/hosts.def"
#undef HOST
};

static bool is_host(const struct host *host, const struct closure *closure, const char *program)
{
	const char *slash = strrchr(program, '/');

	if (host->program && fnmatch(host->program, slash ? slash + 1 : program, 0) == 0)
		return true;
	for (size_t i = 1; host->library && i < closure->count; i++)
		if (!strncmp(library_name(&closure->list[i]), host->library, strlen(host->library)))
			return true;
	return false;
}

/* Adds a plugin and what it needs, and says whether its TLS can be traced. */
static bool look_at_plugin(struct inquiry *inquiry, const struct host *host, const char *path)
{
	struct closure *closure = &inquiry->closure;
	size_t first = closure->count;
	int fd = root_open(&closure->root, path), index;
	const char *name;

	if (fd < 0)
		return false;
	index = closure_add(closure, fd, path);
	close(fd);
	if (index < 0)
		return false;
	name = library_name(&closure->list[index]);
	if (host->way == CHECK_WAY_DLSYM) {
		add_way(inquiry->result, host->way, path, "%s's plugin %s looks up libssl by name",
			host->name, name);
		return true;
	}
	if (!find_users(inquiry, first))
		return find_other_tls(inquiry, first,
				      inquiry->result->ways.count ? 0 : OTHER_DECIDES),
		       false;
	if (host->way == CHECK_WAY_DEEPBIND)
		add_way(inquiry->result, host->way, path,
			"%s loads %s with RTLD_DEEPBIND; the shim patches its calls", host->name,
			name);
	return true;
}

/* The directory above the program's: "/usr" for "/usr/bin/ruby". */
static void prefix_of(const char *program, char prefix[static PATH_MAX])
{
	snprintf(prefix, PATH_MAX, "%s", program);
	for (int i = 0; i < 2; i++)
		if (strrchr(prefix, '/'))
			*strrchr(prefix, '/') = 0;
}

/* A directory that cannot be read has no plugins, unless it is we who cannot read it. */
static int is_short_of_memory(const char *path, int error)
{
	(void)path;
	return error == ENOMEM;
}

static bool look_for(struct inquiry *inquiry, const struct host *host, const char *pattern,
		     size_t length)
{
	const char *root = inquiry->closure.root.path;
	char prefix[PATH_MAX], full[2 * PATH_MAX];
	bool found = false;
	glob_t paths;
	int result;

	prefix_of(inquiry->result->program, prefix);
	if (length > 1 && !strncmp(pattern, "%p", 2))
		snprintf(full, sizeof(full), "%s%s%.*s", root, prefix, (int)length - 2,
			 pattern + 2);
	else
		snprintf(full, sizeof(full), "%s%.*s", root, (int)length, pattern);
	result = glob(full, GLOB_BRACE, is_short_of_memory, &paths);
	inquiry->result->starved |= result == GLOB_NOSPACE || result == GLOB_ABORTED;
	if (result == 0)
		for (size_t i = 0; i < paths.gl_pathc && i < PLUGINS_MAX; i++)
			found |= look_at_plugin(inquiry, host, paths.gl_pathv[i] + strlen(root));
	globfree(&paths);
	return found;
}

bool find_plugins(struct inquiry *inquiry)
{
	bool found = false;

	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		const char *at = hosts[i].plugins;

		if (!is_host(&hosts[i], &inquiry->closure, inquiry->result->program))
			continue;
		for (size_t length; *at; at += length + (at[length] == ' ')) {
			length = strcspn(at, " ");
			found |= look_for(inquiry, &hosts[i], at, length);
		}
		if (!inquiry->result->ways.count && !inquiry->result->reasons.count)
			add_note(inquiry->result, NULL,
				 "%s loads TLS as a plugin; none that uses OpenSSL is installed",
				 hosts[i].name);
	}
	return found;
}
