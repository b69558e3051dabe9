/* SPDX-License-Identifier: Apache-2.0 */
/* One table of settings: each with a parser that says whether the value is good. */
#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

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

/* strtoull() would have the locale's tables read; too long a number is too large a size. */
static const char *read_number(const char *at, uint64_t *number)
{
	for (*number = 0; *at >= '0' && *at <= '9' && *number <= TLSTALL_SIZE_MAX; at++)
		*number = *number * 10 + (uint64_t)(*at - '0');
	return at;
}

static bool parse_size(const char *value)
{
	uint64_t size;
	const char *end = read_number(value, &size);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (end == value || size > TLSTALL_SIZE_MAX)
		return false;
	size <<= shift;
	if (end[shift != 0] || size < TLSTALL_SIZE_MIN || size > TLSTALL_SIZE_MAX)
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

static void append_number(char *to, unsigned long number)
{
	char digits[24], *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + number % 10);
	} while (number /= 10);
	strcat(to, at);
}

/* The user at exec: that we are before main. */
static void default_directory(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	settings.directory_is_default = true;
	if (runtime && runtime[0] == '/' && strlen(runtime) < sizeof(settings.directory) - 64) {
		strcpy(settings.directory, runtime);
		strcat(settings.directory, "/tlstall");
	} else {
		strcpy(settings.directory, "/tmp/tlstall-");
		append_number(settings.directory, getauxval(AT_UID));
	}
}

void settings_read(void)
{
	if (settings.known)
		return;
	settings.known = true;
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
