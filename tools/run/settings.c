/* SPDX-License-Identifier: Apache-2.0 */
#include "run/settings.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static bool good_directory(const char *value)
{
	return (value[0] == '/' && strlen(value) < 4000) || !value[0];
}

static bool good_mode(const char *value)
{
	return !strcmp(value, "all") || !strcmp(value, "handshake") || !strcmp(value, "off");
}

static bool good_switch(const char *value)
{
	return !strcmp(value, "on") || !strcmp(value, "off");
}

static bool good_reach(const char *value)
{
	return !strcmp(value, "dlsym,got") || !strcmp(value, "dlsym") || !strcmp(value, "got") ||
	       !strcmp(value, "none");
}

static bool good_size(const char *value)
{
	char *end;
	uint64_t size = strtoull(value, &end, 10);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (!isdigit((unsigned char)*value) || end[shift > 0] || size > TLSTALL_SIZE_MAX)
		return false;
	return size << shift >= TLSTALL_SIZE_MIN && size << shift <= TLSTALL_SIZE_MAX;
}

#define good_DIR good_directory
#define good_MODE good_mode
#define good_SIZE good_size
#define good_STACKS good_switch
#define good_SOCKET good_switch
#define good_REACH good_reach

static const struct {
	const char *name, *standard, *values;
	bool (*good)(const char *value);
} table[TLSTALL_SETTING_COUNT] = {
#define ROW(id, name, standard, values) {name, standard, values, good_##id},
	TLSTALL_SETTINGS(ROW)
#undef ROW
};

const char *setting_name(enum tlstall_setting setting)
{
	return table[setting].name;
}

const char *setting_default(enum tlstall_setting setting)
{
	return table[setting].standard;
}

const char *setting_values(enum tlstall_setting setting)
{
	return table[setting].values;
}

bool setting_is_good(enum tlstall_setting setting, const char *value)
{
	return table[setting].good(value);
}

int settings_check_environment(void)
{
	for (unsigned i = 0; i < TLSTALL_SETTING_COUNT; i++) {
		const char *value = getenv(table[i].name);

		if (!value || table[i].good(value))
			continue;
		complain("%s=%s is not a setting (%s)", table[i].name, value, table[i].values);
		return EXIT_USAGE;
	}
	return 0;
}
