/* SPDX-License-Identifier: Apache-2.0 */
#include "run/settings.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

static bool good_directory(const char *value)
{
	return (value[0] == '/' && strlen(value) < 4000) || !value[0];
}

static bool good_mode(const char *value)
{
	return !strcmp(value, "all") || !strcmp(value, "watch") || !strcmp(value, "handshake") || !strcmp(value, "off");
}

static bool good_switch(const char *value)
{
	return !strcmp(value, "on") || !strcmp(value, "off");
}

static bool good_socket(const char *value)
{
	return good_switch(value) || !strcmp(value, "auto");
}

/* Accepts these words, separated by commas, as in "dlsym,got". */
static bool good_reach(const char *value)
{
	static const char *const words[] = {"dlsym", "got", "inside"};
	size_t length = strcspn(value, ","), i = 0;

	if (!strcmp(value, "none"))
		return true;
	while (i < 3 && (strlen(words[i]) != length || strncmp(value, words[i], length) != 0))
		i++;
	return i < 3 && (!value[length] || good_reach(value + length + 1));
}

static bool good_keep(const char *value)
{
	return !strcmp(value, "all") || !strcmp(value, "bad") || !strcmp(value, "none");
}

static bool in_range(const char *value, unsigned long least, unsigned long most)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	return isdigit((unsigned char)*value) && !*end && number >= least && number <= most;
}

static bool good_late(const char *value)
{
	return in_range(value, 1, TLSTALL_LATE_MAX);
}

static bool good_sample(const char *value)
{
	return in_range(value, 0, TLSTALL_SAMPLE_MAX);
}

static bool is_size(const char *value, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t size = strtoull(value, &end, 10);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (!isdigit((unsigned char)*value) || end[shift > 0] || size > TLSTALL_SIZE_MAX)
		return false;
	return size << shift >= least && size << shift <= most;
}

static bool good_size(const char *value)
{
	return is_size(value, TLSTALL_SIZE_MIN, TLSTALL_SIZE_MAX);
}

static bool good_limit(const char *value)
{
	return is_size(value, 0, 0) || is_size(value, TLSTALL_LIMIT_MIN, TLSTALL_LIMIT_MAX);
}

static bool good_privacy(const char *value)
{
	static const char *const words[] = {"peer", "sni", "stacks", NULL};
	bool good = true;

	if (!strcmp(value, "none"))
		return true;
	for (size_t length; good; value += length + 1) {
		length = strcspn(value, ",");
		good = false;
		for (int i = 0; words[i] && !good; i++)
			good = strlen(words[i]) == length && !strncmp(value, words[i], length);
		if (!value[length])
			break;
	}
	return good;
}

#define good_DIR good_directory
#define good_MODE good_mode
#define good_SIZE good_size
#define good_STACKS good_switch
#define good_SOCKET good_socket
#define good_REACH good_reach
#define good_KEEP good_keep
#define good_LATE good_late
#define good_SAMPLE good_sample
#define good_REMOTE good_switch
#define good_PRIVACY good_privacy
#define good_LIMIT good_limit

static const struct {
	const char *name, *values;
	bool (*good)(const char *value);
} table[TLSTALL_SETTING_COUNT] = {
#define ROW(id, name, standard, values) {name, values, good_##id},
	TLSTALL_SETTINGS(ROW)
#undef ROW
};

const char *setting_name(enum tlstall_setting setting)
{
	return table[setting].name;
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
		complain("invalid value %s=%s (expected %s)", table[i].name, value, table[i].values);
		return EXIT_USAGE;
	}
	return 0;
}
