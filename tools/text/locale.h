/* SPDX-License-Identifier: Apache-2.0 */
/* All output is UTF-8, whatever the user's locale. */
#ifndef TOOLS_TEXT_LOCALE_H
#define TOOLS_TEXT_LOCALE_H

#include <stdbool.h>

/*
 * Makes the C library measure text as UTF-8: services and cron run without a locale. Called once, at the
 * start.
 */
void text_locale(void);

/* False if this system has no UTF-8 locale: no library may then be given other text than ASCII. */
bool text_is_utf8(void);

#endif
