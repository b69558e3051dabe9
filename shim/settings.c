/* SPDX-License-Identifier: Apache-2.0 */
/* One table of settings, each with a parser that says whether the value is valid. */
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
		[TLSTALL_MODE_WATCH] = "watch",
		NULL,
	};

	return parse_choice(value, words, &settings.mode);
}

/*
 * Not strtoull(), which reads the locale's tables. A number that is too long counts as too large.
 */
static const char *read_number(const char *at, uint64_t *number)
{
	for (*number = 0; *at >= '0' && *at <= '9' && *number <= TLSTALL_SIZE_MAX; at++)
		*number = *number * 10 + (uint64_t)(*at - '0');
	return at;
}

static bool parse_bytes(const char *value, uint64_t least, uint64_t most, uint64_t *out)
{
	uint64_t size;
	const char *end = read_number(value, &size);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (end == value || size > TLSTALL_SIZE_MAX)
		return false;
	size <<= shift;
	if (end[shift != 0] || size < least || size > most)
		return false;
	*out = size;
	return true;
}

static bool parse_size(const char *value)
{
	return parse_bytes(value, TLSTALL_SIZE_MIN, TLSTALL_SIZE_MAX, &settings.size);
}

static bool parse_limit(const char *value)
{
	return parse_bytes(value, 0, 0, &settings.limit) ||
	       parse_bytes(value, TLSTALL_LIMIT_MIN, TLSTALL_LIMIT_MAX, &settings.limit);
}

static bool parse_range(const char *value, uint32_t least, uint32_t most, uint32_t *out)
{
	uint64_t number;
	const char *end = read_number(value, &number);

	if (end == value || *end || number < least || number > most)
		return false;
	*out = (uint32_t)number;
	return true;
}

static bool parse_late(const char *value)
{
	return parse_range(value, 1, TLSTALL_LATE_MAX, &settings.late_ms);
}

static bool parse_sample(const char *value)
{
	return parse_range(value, 0, TLSTALL_SAMPLE_MAX, &settings.sample);
}

static bool parse_stacks(const char *value)
{
	return parse_bool(value, &settings.stacks);
}

static bool parse_remote(const char *value)
{
	return parse_bool(value, &settings.remote);
}

static bool parse_socket(const char *value)
{
	static const char *const words[] = {
		[SOCKET_OFF] = "off", [SOCKET_ON] = "on", [SOCKET_AUTO] = "auto", NULL};

	return parse_choice(value, words, &settings.socket);
}

static bool parse_keep(const char *value)
{
	static const char *const words[] = {
		[TLSTALL_KEEP_ALL] = "all",
		[TLSTALL_KEEP_BAD] = "bad",
		[TLSTALL_KEEP_NONE] = "none",
		NULL,
	};

	return parse_choice(value, words, &settings.keep);
}

/* The first word of the list; 0: unknown. Moves past the comma. */
static uint32_t take_way(const char **list)
{
	static const struct {
		const char *word;
		uint32_t bit;
	} ways[] = {{"dlsym", REACH_DLSYM}, {"got", REACH_GOT}, {"inside", REACH_INSIDE}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		size_t length = strlen(ways[i].word);
		char end = strncmp(*list, ways[i].word, length) ? '?' : (*list)[length];

		if (end == '\0' || (end == ',' && (*list)[length + 1])) {
			*list += length + (end == ',');
			return ways[i].bit;
		}
	}
	return 0;
}

static bool parse_reach(const char *value)
{
	uint32_t ways = 0, way = 0;

	if (!strcmp(value, "none")) {
		settings.reach = 0;
		return true;
	}
	do {
		way = take_way(&value);
		ways |= way;
	} while (way && *value);
	if (way)
		settings.reach = ways;
	return way;
}

/* 0: unknown word. */
static uint32_t privacy_of(const char *word, size_t length)
{
	static const struct {
		const char *word;
		uint32_t bit;
	} words[] = {
		{"peer", TLSTALL_PRIVACY_PEER},
		{"sni", TLSTALL_PRIVACY_SNI},
		{"stacks", TLSTALL_PRIVACY_STACKS},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (length == strlen(words[i].word) && !memcmp(word, words[i].word, length))
			return words[i].bit;
	return 0;
}

/* If one word is wrong, the others still apply. */
static bool parse_privacy(const char *value)
{
	bool good = true;

	settings.privacy = 0;
	while (strcmp(value, "none") != 0) {
		const char *end = value;
		uint32_t bit;

		while (*end && *end != ',')
			end++;
		bit = privacy_of(value, (size_t)(end - value));
		settings.privacy |= bit;
		good = good && bit;
		if (!*end)
			break;
		value = end + 1;
	}
	return good;
}

static const struct {
	const char *name, *standard;
	bool (*parse)(const char *value);
} table[TLSTALL_SETTING_COUNT] = {
#define PARSER_DIR parse_directory
#define PARSER_MODE parse_mode
#define PARSER_SIZE parse_size
#define PARSER_STACKS parse_stacks
#define PARSER_LATE parse_late
#define PARSER_SAMPLE parse_sample
#define PARSER_SOCKET parse_socket
#define PARSER_REACH parse_reach
#define PARSER_KEEP parse_keep
#define PARSER_PRIVACY parse_privacy
#define PARSER_LIMIT parse_limit
#define PARSER_REMOTE parse_remote
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

/* The user at exec, because this may run before main. */
void settings_default_directory(char *to, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (runtime && runtime[0] == '/' && strlen(runtime) < size - 64) {
		strcpy(to, runtime);
		strcat(to, "/tlstall");
	} else {
		strcpy(to, "/tmp/tlstall-");
		append_number(to, getauxval(AT_UID));
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
	/* A program that runs with privileges of another user writes no files for us. */
	if (getauxval(AT_SECURE))
		settings.directory[0] = '\0';
	else if ((settings.directory_is_default = !settings.directory[0]))
		settings_default_directory(settings.directory, sizeof(settings.directory));
}
