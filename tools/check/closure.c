/* SPDX-License-Identifier: Apache-2.0 */
/* Follows DT_NEEDED as ld.so(8) does, without running anything. See closure.h. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/closure.h"

/* More than any program needs: limits for hostile ones. */
#define LIBRARIES_MAX 1024
#define OPENS_MAX 20000
#define PATH_LIMIT 4096 /* bytes */

struct abi {
	int machine, class;
	const char *triplet, *lib,
		*platform; /* Debian's multiarch name, $LIB elsewhere, $PLATFORM */
};

static const struct abi abis[] = {
	{EM_X86_64, ELFCLASS64, "x86_64-linux-gnu", "lib64", "x86_64"},
	{EM_X86_64, ELFCLASS32, "x86_64-linux-gnux32", "libx32", "x86_64"},
	{EM_386, ELFCLASS32, "i386-linux-gnu", "lib", "i686"},
	{EM_AARCH64, ELFCLASS64, "aarch64-linux-gnu", "lib64", "aarch64"},
	{EM_ARM, ELFCLASS32, "arm-linux-gnueabihf", "lib", "v7l"},
	{EM_RISCV, ELFCLASS64, "riscv64-linux-gnu", "lib64", ""},
	{EM_PPC64, ELFCLASS64, "powerpc64le-linux-gnu", "lib64", ""},
	{EM_S390, ELFCLASS64, "s390x-linux-gnu", "lib64", ""},
	{0, 0, "unknown", "lib", ""},
};

static const struct abi *abi_of(const struct object *object)
{
	const struct abi *abi = abis;

	while (abi->machine && (abi->machine != object->machine || abi->class != object->class))
		abi++;
	return abi;
}

const char *library_name(const struct library *library)
{
	const char *path = library->path ? library->path : library->name, *slash;

	if (library->object.soname)
		return library->object.soname;
	slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static char *copy(struct closure *closure, const char *text)
{
	char *made = strdup(text);

	closure->starved |= !made;
	return made;
}

static struct library *new_entry(struct closure *closure, const char *name, int parent)
{
	struct library *grown;

	if (closure->count == LIBRARIES_MAX)
		return NULL;
	grown = realloc(closure->list, (closure->count + 1) * sizeof(*grown));
	if (!grown) {
		closure->starved = true;
		return NULL;
	}
	closure->list = grown;
	grown += closure->count;
	*grown = (struct library){.name = copy(closure, name), .parent = parent};
	if (!grown->name)
		return NULL;
	closure->count++;
	return grown;
}

static bool is_known(const struct closure *closure, const char *name)
{
	for (size_t i = 0; i < closure->count; i++) {
		const struct library *library = &closure->list[i];

		if (!strcmp(library->name, name) ||
		    (library->object.soname && !strcmp(library->object.soname, name)))
			return true;
	}
	return false;
}

static bool is_same_file(const struct closure *closure, const struct stat *status)
{
	for (size_t i = 0; i < closure->count; i++)
		if (closure->list[i].path && closure->list[i].inode == status->st_ino &&
		    closure->list[i].device == status->st_dev)
			return true;
	return false;
}

/* Whether it fits the program: the loader skips libraries that do not. */
static bool fits(const struct object *one, const struct object *other)
{
	return one->class == other->class && one->machine == other->machine &&
	       one->data == other->data;
}

/* Takes `path` for the entry at `index` if it is a library that fits `wanted`. */
static bool try_file(struct closure *closure, size_t index, const struct object *wanted,
		     const char *path)
{
	struct library *library = &closure->list[index];
	struct stat status;
	bool taken = false;
	int fd, error;

	if (closure->opens++ >= OPENS_MAX)
		return false;
	fd = root_open(&closure->root, path);
	if (fd < 0)
		return false;
	if (fstat(fd, &status) == 0 && is_same_file(closure, &status)) {
		library->same = taken = true;
	} else if (!(error = object_read(fd, &library->object))) {
		taken = fits(&library->object, wanted) && (library->path = copy(closure, path));
		library->device = status.st_dev;
		library->inode = status.st_ino;
		if (!taken)
			object_free(&library->object);
	} else {
		closure->starved |= error == -ENOMEM;
	}
	close(fd);
	return taken;
}

/* The values of $ORIGIN, $LIB and $PLATFORM. */
struct tokens {
	struct token {
		const char *name, *value;
		size_t length; /* of the value */
	} list[3];
};

static void tokens_of(const struct library *library, bool multiarch, char lib[static 64],
		      struct tokens *tokens)
{
	const struct abi *abi = abi_of(&library->object);
	const char *slash = strrchr(library->path, '/');
	size_t origin = slash ? (size_t)(slash - library->path) : 0;

	snprintf(lib, 64, multiarch ? "lib/%s" : "%s", multiarch ? abi->triplet : abi->lib);
	tokens->list[0] = (struct token){"ORIGIN",
					 origin	 ? library->path
					 : slash ? "/"
						 : ".",
					 origin ? origin : 1};
	tokens->list[1] = (struct token){"LIB", lib, strlen(lib)};
	tokens->list[2] = (struct token){"PLATFORM", abi->platform, strlen(abi->platform)};
}

/* The token that `text` ("$ORIGIN...", "${LIB}...") starts with; its length goes to `used`. */
static const struct token *token_at(const char *text, size_t left, const struct tokens *tokens,
				    size_t *used)
{
	bool braced = left > 1 && text[1] == '{';

	for (int i = 0; i < 3; i++) {
		size_t length = strlen(tokens->list[i].name);

		*used = 1 + length + 2 * braced;
		if (*used <= left && !strncmp(text + 1 + braced, tokens->list[i].name, length) &&
		    (!braced || text[*used - 1] == '}'))
			return &tokens->list[i];
	}
	return NULL;
}

/* Writes one directory of a search path. Returns its length, or PATH_LIMIT if it is too long. */
static size_t expand(const char *text, size_t length, const struct tokens *tokens, char *to)
{
	size_t at = 0, used;

	for (size_t i = 0; i < length; i += used) {
		const struct token *token =
			text[i] == '$' ? token_at(text + i, length - i, tokens, &used) : NULL;
		size_t add = token ? token->length : 1;

		used = token ? used : 1;
		if (at + add >= PATH_LIMIT)
			return PATH_LIMIT;
		memcpy(to + at, token ? token->value : text + i, add);
		at += add;
	}
	to[at] = 0;
	return at;
}

/* A library to find. */
struct search {
	struct closure *closure;
	size_t index; /* of the entry to be filled */
	const char *name;
	const struct object *wanted;
};

static bool try_in(const struct search *search, const char *directory, size_t length)
{
	char path[2 * PATH_LIMIT];
	int n = snprintf(path, sizeof(path), "%.*s/%s", (int)length, directory, search->name);

	return n > 0 && (size_t)n < sizeof(path) &&
	       try_file(search->closure, search->index, search->wanted, path);
}

/*
 * Directories separated by colons, in LD_LIBRARY_PATH also by semicolons. An empty one means ".".
 */
static bool try_list(const struct search *search, const char *list, const struct library *owner)
{
	char directory[PATH_LIMIT], lib[64];
	struct tokens tokens;

	for (int multiarch = 1; list && multiarch >= 0; multiarch--) {
		tokens_of(owner, multiarch, lib, &tokens);
		for (const char *at = list, *next; at; at = next) {
			size_t length = strcspn(at, ":;");

			next = at[length] ? at + length + 1 : NULL;
			length = expand(at, length, &tokens, directory);
			if (length < PATH_LIMIT &&
			    try_in(search, length ? directory : ".", length ? length : 1))
				return true;
		}
		if (!strstr(list, "LIB"))
			break;
	}
	return false;
}

static bool try_cache(const struct search *search)
{
	struct closure *closure = search->closure;
	const char *path;
	int fd;

	if (!closure->cache_read) {
		closure->cache_read = true;
		fd = root_open(&closure->root, "/etc/ld.so.cache");
		if (fd >= 0) {
			closure->starved |= ldcache_read(fd, &closure->cache) == -ENOMEM;
			close(fd);
		}
	}
	for (unsigned n = 0; (path = ldcache_find(&closure->cache, search->name, n)); n++)
		if (try_file(closure, search->index, search->wanted, path))
			return true;
	return false;
}

static bool try_default(const struct search *search)
{
	const struct abi *abi = abi_of(search->wanted);
	char list[512];
	const struct library *program = &search->closure->list[0];

	snprintf(list, sizeof(list), "/lib/%s:/usr/lib/%s:/%s:/usr/%s:/lib:/usr/lib:/usr/local/lib",
		 abi->triplet, abi->triplet, abi->lib, abi->lib);
	return try_list(search, list, program);
}

/*
 * DT_RPATH of the library that needs it, and of those that need that one, unless there is a
 * DT_RUNPATH.
 */
static bool try_rpaths(const struct search *search, const struct library *owner)
{
	const struct library *list = search->closure->list;
	unsigned depth = 0;

	if (owner->object.runpath)
		return false;
	for (const struct library *at = owner; at && depth < LIBRARIES_MAX; depth++) {
		if (at->object.rpath && !at->object.runpath &&
		    try_list(search, at->object.rpath, at))
			return true;
		at = at->parent >= 0 ? &list[at->parent] : NULL;
	}
	return false;
}

/* ---- musl's loader ----------------------------------------------------------------- */

static bool is_musl(const struct closure *closure)
{
	const char *loader = closure->list[0].object.interpreter;
	const char *slash = loader ? strrchr(loader, '/') : NULL;

	return slash && !strncmp(slash + 1, OBJECT_MUSL_LOADER, strlen(OBJECT_MUSL_LOADER));
}

/* These are parts of musl's libc: any version of them is the loader itself. */
static bool is_in_musl(const char *name)
{
	static const char *const parts[] = {"c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!strncmp(name, "lib", 3) && !strncmp(name + 3, parts[i], strlen(parts[i])))
			return true;
	}
	return false;
}

/* The libraries' directories are in a file next to the loader's directory, if it exists. */
static bool try_musl_default(const struct search *search, const struct library *program)
{
	char path[64], list[PATH_LIMIT] = "";
	int fd;

	snprintf(path, sizeof(path), "/etc/ld-musl-%s.path", abi_of(search->wanted)->platform);
	fd = root_open(&search->closure->root, path);
	if (fd >= 0) {
		if (read(fd, list, sizeof(list) - 1) > 0)
			for (char *end = list; (end = strchr(end, '\n'));)
				*end = ':';
		close(fd);
	}
	return try_list(search, *list ? list : "/lib:/usr/local/lib:/usr/lib", program);
}

static bool search_as_musl(const struct search *search, const struct library *owner)
{
	return try_list(search, search->closure->library_path, owner) ||
	       try_rpaths(search, owner) || try_list(search, owner->object.runpath, owner) ||
	       try_musl_default(search, &search->closure->list[0]);
}

/* ---- all of it ----------------------------------------------------------------------- */

static bool search_for(const struct search *search, const struct library *owner)
{
	if (strchr(search->name, '/'))
		return try_file(search->closure, search->index, search->wanted, search->name);
	if (is_musl(search->closure))
		return search_as_musl(search, owner);
	return try_rpaths(search, owner) ||
	       try_list(search, search->closure->library_path, owner) ||
	       try_list(search, owner->object.runpath, owner) ||
	       (!owner->object.nodeflib && try_cache(search)) || try_default(search);
}

static void resolve_needs(struct closure *closure, size_t owner)
{
	for (size_t i = 0; i < closure->list[owner].object.needed_count; i++) {
		const char *name = closure->list[owner].object.needed[i];
		struct search search = {.closure = closure, .index = closure->count, .name = name};

		if (is_known(closure, name) || (is_musl(closure) && is_in_musl(name)) ||
		    !new_entry(closure, name, (int)owner))
			continue;
		/* the list may have moved */
		search.wanted = &closure->list[owner].object;
		search_for(&search, &closure->list[owner]);
	}
}

int closure_add(struct closure *closure, int fd, const char *path)
{
	struct library *library = new_entry(closure, path, -1);
	size_t index = closure->count - 1;
	struct stat status;
	int ret;

	if (!library || !(library->path = copy(closure, path)))
		return -ENOMEM;
	if (fstat(fd, &status) != 0)
		return -errno;
	library->device = status.st_dev;
	library->inode = status.st_ino;
	ret = object_read(fd, &library->object);
	closure->starved |= ret == -ENOMEM;
	for (; ret == 0 && closure->done < closure->count; closure->done++)
		if (closure->list[closure->done].path)
			resolve_needs(closure, closure->done);
	return ret == 0 ? (int)index : ret;
}

char *closure_find(struct closure *closure, const char *name)
{
	struct search search = {.closure = closure, .index = closure->count, .name = name};

	if (!closure->count || !new_entry(closure, name, 0))
		return NULL;
	search.wanted = &closure->list[0].object;
	closure->done = closure->count;
	if (!search_for(&search, &closure->list[0]) || !closure->list[search.index].path)
		return NULL;
	return copy(closure, closure->list[search.index].path);
}

void closure_free(struct closure *closure)
{
	for (size_t i = 0; i < closure->count; i++) {
		free(closure->list[i].name);
		free(closure->list[i].path);
		object_free(&closure->list[i].object);
	}
	free(closure->list);
	ldcache_free(&closure->cache);
	*closure = (struct closure){.root = ROOT_OURS};
}
