/* SPDX-License-Identifier: Apache-2.0 */
/* One table of settings: each with a parser that says whether the value is good. */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "tlstall/environment.h"
#include "tlstall/trace.h"

struct settings settings;

static bool parse_choice(const char *value, const char *const *words, uint32_t *out)
{
	for (uint32_t i = 0; words[i]; i++) {
		if (!strcmp(value, words[i])) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool parse_bool(const char *value, bool *out)
{
	static const char *const words[] = {"off", "on", NULL};
	uint32_t index;

	if (!parse_choice(value, words, &index))
		return false;
	*out = index;
	return true;
}

static bool parse_directory(const char *value)
{
	if (value[0] != '/' || strlen(value) >= sizeof(settings.directory) - 64)
		return value[0] == '\0';
	strcpy(settings.directory, value);
	return true;
}

static bool parse_mode(const char *value)
{
	static const char *const words[] = {
		[TLSTALL_MODE_OFF] = "off",
		[TLSTALL_MODE_HANDSHAKE] = "handshake",
		[TLSTALL_MODE_ALL] = "all",
		NULL,
	};

	return parse_choice(value, words, &settings.mode);
}

static bool parse_size(const char *value)
{
	static const char suffixes[] = "KMG";
	char *end;
	uint64_t size = strtoull(value, &end, 10);
	const char *suffix = *end ? strchr(suffixes, *end) : NULL;

	if (end == value || value[0] == '-' || size > TLSTALL_SIZE_MAX)
		return false;
	if (suffix) {
		size <<= 10 * (suffix - suffixes + 1);
		end++;
	}
	if (*end || size < TLSTALL_SIZE_MIN || size > TLSTALL_SIZE_MAX)
		return false;
	settings.size = size;
	return true;
}

static bool parse_stacks(const char *value)
{
	return parse_bool(value, &settings.stacks);
}

static bool parse_socket(const char *value)
{
	return parse_bool(value, &settings.socket);
}

static bool parse_reach(const char *value)
{
	static const struct {
		const char *word;
		uint32_t bits;
	} ways[] = {
		{"none", 0},
		{"dlsym", REACH_DLSYM},
		{"got", REACH_GOT},
		{"dlsym,got", REACH_DLSYM | REACH_GOT},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!strcmp(value, ways[i].word)) {
			settings.reach = ways[i].bits;
			return true;
		}
	}
	return false;
}

static const struct {
	const char *name, *standard;
	bool (*parse)(const char *value);
} table[TLSTALL_SETTING_COUNT] = {
#define PARSER_DIR parse_directory
#define PARSER_MODE parse_mode
#define PARSER_SIZE parse_size
#define PARSER_STACKS parse_stacks
#define PARSER_SOCKET parse_socket
#define PARSER_REACH parse_reach
#define ROW(id, name, standard, values) {name, standard, PARSER_##id},
	TLSTALL_SETTINGS(ROW)
#undef ROW
};

static void default_directory(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	settings.directory_is_default = true;
	if (runtime && runtime[0] == '/' && strlen(runtime) < sizeof(settings.directory) - 64)
		snprintf(settings.directory, sizeof(settings.directory), "%s/tlstall", runtime);
	else
		snprintf(settings.directory, sizeof(settings.directory), "/tmp/tlstall-%u",
			 (unsigned)getuid());
}

void settings_read(void)
{
	static bool read_before;

	if (read_before)
		return;
	read_before = true;
	for (uint32_t i = 0; i < TLSTALL_SETTING_COUNT; i++) {
		const char *value = getenv(table[i].name);

		table[i].parse(table[i].standard);
		if (value && !table[i].parse(value))
			settings.bad_settings |= TLSTALL_BAD_SETTING(i);
	}
	/* A program that runs with somebody else's rights writes no files for us. */
	if (getauxval(AT_SECURE))
		settings.directory[0] = '\0';
	else if (!settings.directory[0])
		default_directory();
}
