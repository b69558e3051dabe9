/* SPDX-License-Identifier: Apache-2.0 */
#include "text/locale.h"

#include <langinfo.h>
#include <locale.h>
#include <stddef.h>
#include <string.h>

bool text_is_utf8(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

void text_locale(void)
{
	static const char *const names[] = {"", "C.UTF-8", "en_US.UTF-8"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !text_is_utf8(); i++)
		setlocale(LC_CTYPE, names[i]);
}
