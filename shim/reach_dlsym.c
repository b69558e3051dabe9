/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redirects what dlsym finds in a libssl to our function of that name, for programs that never
 * link libssl, such as Qt, .NET and ctypes. The entry points are in assembly, one file for each
 * architecture; on other architectures dlsym is left alone.
 */
#include <dlfcn.h>

#include "aside.h"
#include "elf.h"
#include "libssl.h"
#include "reach_got.h"
#include "settings.h"
#include "stack.h"
#include "wrappers.h"

typedef void *dlsym_function(void *handle, const char *name);
typedef void *dlvsym_function(void *handle, const char *name, const char *version);

dlsym_function *reach_real_dlsym;
dlvsym_function *reach_real_dlvsym;

dlsym_function reach_dlsym;
dlvsym_function reach_dlvsym;
/* The answer of reach_scope() that dlsym itself shall answer. */
char reach_usual;
void *reach_scope(void *handle, const char *name, const void *caller);

static void *no_symbol(void)
{
	return NULL;
}

/* Looked up in the symbol table, because the version of these symbols differs between glibcs. */
static void resolve(void)
{
	void *(*find)(const char *name) = settings.known ? elf_find : elf_find_early;
	void *dlvsym_address = find("dlvsym"), *dlsym_address = find("dlsym");

	if (!dlvsym_address)
		dlvsym_address = (void *)no_symbol;
	if (!dlsym_address)
		dlsym_address = (void *)no_symbol;
	__atomic_store_n(&reach_real_dlvsym, (dlvsym_function *)dlvsym_address, __ATOMIC_RELEASE);
	__atomic_store_n(&reach_real_dlsym, (dlsym_function *)dlsym_address, __ATOMIC_RELEASE);
}

/* What was found before our constructor ran; on a page that the constructor touches anyway. */
static void *found_early __attribute__((section(".data")));

/*
 * Sanitizers look up hundreds of functions before their runtime is ready, when not even strcmp(),
 * which is theirs, may be called. None of those functions is libssl's.
 */
static bool is_too_early(const char *name)
{
	return !settings.known &&
	       !(name[0] == 'S' && name[1] == 'S' && name[2] == 'L' && name[3] == '_');
}

/* ---- names that only we have ---------------------------------------------------------- */

/* What the global order has after us. If nothing, dlerror() says so. */
static void *after_us(const char *name)
{
	return reach_real_dlsym(RTLD_NEXT, name);
}

/* RTLD_DEFAULT and RTLD_NEXT find us even where no OpenSSL has the function: see aside.h. */
void *reach_scope(void *handle, const char *name, const void *caller)
{
	void *found;

	if (!__atomic_load_n(&reach_real_dlsym, __ATOMIC_ACQUIRE))
		resolve();
	if (!settings.known || !name || !wrapper_of(name, NULL))
		return &reach_usual;
	if (aside_finds_ours(name, caller) && !after_us(name))
		return NULL;
	if (aside_is_none_of_ours(name, handle == RTLD_NEXT ? caller : NULL, &found))
		return found;
	found = handle == RTLD_DEFAULT ? aside_of_plugin(name, caller) : NULL;
	return found ? found : &reach_usual;
}

/* The same where the handle was that of the program. */
static bool is_only_ours(const void *found, const char *name, void **instead)
{
	if (!elf_is_own((uintptr_t)found) || !wrapper_of(name, NULL))
		return false;
	*instead = NULL;
	if (aside_finds_ours(name, NULL) && !after_us(name))
		return true;
	return aside_is_none_of_ours(name, NULL, instead);
}

/* ---- what was found -------------------------------------------------------------------- */

static void *redirect(void *found, const char *name)
{
	void *wrapper, *instead;

	if (!found)
		return NULL;
	if (is_too_early(name)) {
		found_early = found;
		return found;
	}
	settings_read();
	/* a plugin was loaded, and its entry point is looked up before any of it runs */
	if ((settings.reach & REACH_GOT) && !elf_may_be_locked())
		reach_got(found);
	stack_refresh();
	if (is_only_ours(found, name, &instead))
		return instead;
	wrapper = settings.reach & REACH_DLSYM ? wrapper_of(name, found) : NULL;
	return wrapper && (libssl_at(found) || wrapper_follows(name, found)) ? wrapper : found;
}

void *reach_dlsym(void *handle, const char *name)
{
	if (!__atomic_load_n(&reach_real_dlsym, __ATOMIC_ACQUIRE))
		resolve();
	return redirect(reach_real_dlsym(handle, name), name);
}

void *reach_dlvsym(void *handle, const char *name, const char *version)
{
	if (!__atomic_load_n(&reach_real_dlsym, __ATOMIC_ACQUIRE))
		resolve();
	return redirect(reach_real_dlvsym(handle, name, version), name);
}

/* Another library's constructor may have opened a plugin before ours ran. */
__attribute__((constructor)) static void catch_up(void)
{
	settings_read();
	if (found_early && (settings.reach & REACH_GOT))
		reach_got(found_early);
}
