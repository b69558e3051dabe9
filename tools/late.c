/* SPDX-License-Identifier: Apache-2.0 */
#include "late.h"

#include <dlfcn.h>

const char *late_load(const char *library, const struct late_function *functions, size_t count)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return dlerror();
	for (size_t i = 0; i < count; i++) {
		*functions[i].to = dlsym(handle, functions[i].name);
		if (!*functions[i].to)
			return dlerror();
	}
	return NULL;
}
