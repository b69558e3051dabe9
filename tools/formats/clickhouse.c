/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inserts a row for each handshake into a ClickHouse table over HTTP: see doc/clickhouse. The table
 * may lack any of the columns, and the server fills in those that a row omits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "formats/columns_of.h"
#include "formats/format.h"
#include "formats/sender.h"
#include "message.h"

#define BATCH_BYTES (4u << 20)
#define BATCH_ROWS 10000
#define BATCH_NS 2000000000ull
/* How much may wait without a spool. */
#define WAITING_BYTES (16u << 20)
/* Handshakes that ended this long before an earlier run did may not have been seen by it. */
#define OVERLAP_NS 15000000000ull

#define QUERY "query=INSERT%20INTO%20handshakes%20FORMAT%20JSONEachRow"
#define SKIP "input_format_skip_unknown_fields=1"

struct clickhouse {
	struct sender *sender;
	char *url;
	struct json_line row;
};

/* ---- where it goes --------------------------------------------------------------------- */

/* A password in the arguments would be visible to other users. */
static const char *objection(const char *url)
{
	const char *host = strstr(url, "://");
	const char *at = host ? strpbrk(host + 3, "@/?") : NULL;

	if ((at && *at == '@') || strcasestr(url, "password="))
		return "no password in a URL, which other users can see (set CLICKHOUSE_PASSWORD or "
		       "CLICKHOUSE_PASSWORD_FILE)";
	return NULL;
}

/* Not one whose name only ends like that, as replace_running_query= does. */
static bool has_parameter(const char *url, const char *name)
{
	const char *at = strchr(url, '?');

	while (at && strncmp(at + 1, name, strlen(name)))
		at = strchr(at + 1, '&');
	return at;
}

/* Adds the query to a URL that lacks it, with or without parameters. */
static char *make_url(const char *said)
{
	static const char *const parts[][2] = {{"query=", QUERY},
					       {"input_format_skip_unknown_fields=", SKIP}};
	size_t size = strlen(said) + sizeof(QUERY) + sizeof(SKIP) + 4;
	char *url = malloc(size);

	if (!url)
		return NULL;
	snprintf(url, size, "%s%s", said, strchr(said, '?') ? "" : "?");
	for (unsigned i = 0; i < 2; i++) {
		size_t length = strlen(url);

		if (!has_parameter(said, parts[i][0]))
			snprintf(url + length, size - length, "%s%s",
				 strchr("?&", url[length - 1]) ? "" : "&", parts[i][1]);
	}
	return url;
}

/* ---- who we are ------------------------------------------------------------------------- */

/* Reads the first line of a file, such as one of systemd's credentials; -1 with errno. */
static int read_secret(const char *path, char *text, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t length = file < 0 ? -1 : read(file, text, size - 1);
	int error = errno;

	if (file >= 0)
		close(file);
	if (length < 0) {
		complain("CLICKHOUSE_PASSWORD_FILE: %s: %s", path, strerror(error));
		errno = error;
		return -1;
	}
	text[length] = '\0';
	if ((size_t)length == size - 1 && !strpbrk(text, "\r\n")) {
		complain("CLICKHOUSE_PASSWORD_FILE: %s: its first line is too long for a password", path);
		errno = EMSGSIZE;
		return -1;
	}
	text[strcspn(text, "\r\n")] = '\0';
	return 0;
}

static int add_user(struct sender *sender)
{
	const char *user = getenv("CLICKHOUSE_USER"), *path = getenv("CLICKHOUSE_PASSWORD_FILE");
	const char *password = getenv("CLICKHOUSE_PASSWORD");
	char secret[4096];

	if (path && *path && read_secret(path, secret, sizeof(secret)))
		return -1;
	if (path && *path)
		password = secret;
	if (password && sender_header(sender, "X-ClickHouse-Key", password))
		return -1;
	if (!user && !password)
		return 0;
	return sender_header(sender, "X-ClickHouse-User", user ? user : "default");
}

/* ---- rows ------------------------------------------------------------------------------- */

static int put(void *context, const struct gathered *gathered, const char *label)
{
	struct clickhouse *to = context;
	const struct column_value *values = columns_of(gathered->subject, label);

	json_line_begin(&to->row);
	for (unsigned i = 0; i < COLUMNS; i++) {
		if (columns[i].type == EXPORT_NUMBER && values[i].known)
			member_number(&to->row, columns[i].name, values[i].number);
		else if (columns[i].type == EXPORT_TEXT && values[i].text && *values[i].text)
			member_text(&to->row, columns[i].name, values[i].text);
	}
	json_line_end(&to->row);
	json_line_break(&to->row);
	if (to->row.failed) {
		errno = ENOMEM;
		return -1;
	}
	return sender_add(to->sender, to->row.text, to->row.length);
}

static int tick(void *context)
{
	struct clickhouse *to = context;

	sender_tick(to->sender);
	return 0;
}

static uint64_t since_ns(void *context)
{
	struct clickhouse *to = context;
	uint64_t noted_ns = sender_noted_ns(to->sender);

	return noted_ns > OVERLAP_NS ? noted_ns - OVERLAP_NS : 0;
}

/* ---- begin and end ------------------------------------------------------------------------ */

/*
 * Errors that can be repaired (permissions, a missing table) are retried. Older servers answer 500
 * to rows that they cannot parse, too.
 */
static enum http_result judge(long status)
{
	if (status >= 500 && status != 503)
		return HTTP_DOUBTED;
	return status >= 400 && status <= 499 && status != 401 && status != 403 && status != 404 &&
			       status != 408 && status != 429
		       ? HTTP_REFUSED
		       : HTTP_NOTHING;
}

static void free_clickhouse(struct clickhouse *to)
{
	json_line_free(&to->row);
	free(to->url);
	free(to);
}

static void *begin(const struct export_target *target)
{
	struct clickhouse *to = calloc(1, sizeof(*to));
	struct sender_options options = {
		.target = {NULL, "the server", "handshakes", judge, NULL},
		.spool = {.directory = target->spool,
			  .bytes = target->spool ? target->spool_bytes : WAITING_BYTES,
			  .batch_bytes = BATCH_BYTES,
			  .batch_items = BATCH_ROWS,
			  .batch_ns = BATCH_NS},
		.pack = true,
		.patient = !target->follows,
	};
	int error;

	if (to)
		to->url = make_url(target->path);
	options.target.url = to ? to->url : NULL;
	if (to && to->url)
		to->sender = sender_open(&options);
	if (to && to->sender && !add_user(to->sender))
		return to;
	error = errno;
	if (to && to->sender)
		sender_close(to->sender, false);
	if (to)
		free_clickhouse(to);
	errno = error;
	return NULL;
}

static int end(void *context, bool whole)
{
	struct clickhouse *to = context;
	int result = sender_close(to->sender, whole), error = errno;

	free_clickhouse(to);
	errno = error;
	return result;
}

const struct format format_clickhouse = {
	.name = "clickhouse",
	.kind = FORMAT_EXPORT,
	.export = &(const struct format_export){.needs_path = true,
						.streams = true,
						.spools = true,
						.objection = objection,
						.begin = begin,
						.since_ns = since_ns,
						.handshake = put,
						.tick = tick,
						.end = end},
};
