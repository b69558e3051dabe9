/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of include/tlstall/environment.h, as the tool checks them. */
#ifndef TOOLS_RUN_SETTINGS_H
#define TOOLS_RUN_SETTINGS_H

#include <stdbool.h>

#include "tlstall/environment.h"

const char *setting_name(enum tlstall_setting setting);
const char *setting_values(enum tlstall_setting setting); /* in words */
/* Whether the shim will take it. */
bool setting_is_good(enum tlstall_setting setting, const char *value);
/* Complains about the first invalid one in the environment; 0 if there is none. */
int settings_check_environment(void);

#endif
