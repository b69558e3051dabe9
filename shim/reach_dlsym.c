/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dlsym finds in a libssl is replaced by our function of that name: so are
 * Qt, .NET and ctypes reached, which never link libssl. The entry points are in
 * assembly, one file for each architecture; elsewhere dlsym is left alone.
 */
#include "reach.h"

#include <string.h>

#include "elf.h"
#include "settings.h"

typedef void *dlsym_function(void *handle, const char *name);
typedef void *dlvsym_function(void *handle, const char *name, const char *version);

dlsym_function *reach_real_dlsym;
dlvsym_function *reach_real_dlvsym;

dlsym_function reach_dlsym;
dlvsym_function reach_dlvsym;
void reach_resolve(void);

static void *no_symbol(void)
{
	return NULL;
}

/* By its symbol table: the version of these symbols is not the same in all glibcs. */
void reach_resolve(void)
{
	void *dlvsym_address = elf_find("dlvsym"), *dlsym_address = elf_find("dlsym");

	if (!dlvsym_address)
		dlvsym_address = (void *)no_symbol;
	if (!dlsym_address)
		dlsym_address = (void *)no_symbol;
	__atomic_store_n(&reach_real_dlvsym, (dlvsym_function *)dlvsym_address, __ATOMIC_RELEASE);
	__atomic_store_n(&reach_real_dlsym, (dlsym_function *)dlsym_address, __ATOMIC_RELEASE);
}

static void *redirect(void *found, const char *name)
{
	void *wrapper;

	if (!found)
		return NULL;
	settings_read();
	/* a plugin was loaded, and is asked for its entry point before it runs */
	if (settings.reach & REACH_GOT)
		reach_got(found);
	wrapper = settings.reach & REACH_DLSYM ? reach_wrapper(name) : NULL;
	return wrapper && libssl_at(found) ? wrapper : found;
}

void *reach_dlsym(void *handle, const char *name)
{
	if (!__atomic_load_n(&reach_real_dlsym, __ATOMIC_ACQUIRE))
		reach_resolve();
	return redirect(reach_real_dlsym(handle, name), name);
}

void *reach_dlvsym(void *handle, const char *name, const char *version)
{
	if (!__atomic_load_n(&reach_real_dlsym, __ATOMIC_ACQUIRE))
		reach_resolve();
	return redirect(reach_real_dlvsym(handle, name, version), name);
}

void *reach_wrapper(const char *name)
{
	static const struct {
		const char *name;
		void *wrapper;
	} table[] = {
#define INTERPOSED(name, kind, need) {#name, (void *)name},
#include "functions.def"
	};

	if (strncmp(name, "SSL_", 4))
		return NULL;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strcmp(table[i].name, name))
			return table[i].wrapper;
	}
	return NULL;
}
