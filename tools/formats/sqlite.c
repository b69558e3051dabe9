/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SQLite database: a row for each handshake, its calls and states, and views that answer the most
 * frequent questions. It is written under another name, and renamed when complete.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/columns_of.h"
#include "formats/format.h"
#include "text/clean.h"
#include "words/words.h"

#define SQL_SIZE 4096

static const char more_tables[] =
	"CREATE TABLE calls(handshake_row INTEGER NOT NULL REFERENCES handshakes(row),"
	" number INTEGER NOT NULL, at_ns INTEGER NOT NULL, duration_ns INTEGER NOT NULL,"
	" fn TEXT NOT NULL, ret INTEGER NOT NULL, error TEXT NOT NULL, state TEXT,"
	" PRIMARY KEY(handshake_row, number)) WITHOUT ROWID;"
	"CREATE TABLE states(handshake_row INTEGER NOT NULL REFERENCES handshakes(row),"
	" number INTEGER NOT NULL, at_ns INTEGER NOT NULL, state TEXT NOT NULL,"
	" PRIMARY KEY(handshake_row, number)) WITHOUT ROWID;";

static const char indexes[] = "CREATE INDEX by_time ON handshakes(ts_ns);"
			      "CREATE INDEX by_duration ON handshakes(duration_ns);"
			      "CREATE INDEX by_cause ON handshakes(cause, fault);"
			      "CREATE INDEX by_peer ON handshakes(peer);";

#define TALLY                                                                                      \
	" count(*) AS handshakes, sum(outcome = 'failed') AS failed,"                              \
	" sum(outcome IN ('abandoned', 'in_flight')) AS unfinished,"                               \
	" avg(duration_ns) / 1e6 AS average_ms, max(duration_ns) / 1e6 AS longest_ms"

static const char views[] =
	"CREATE VIEW slowest AS SELECT duration_ns / 1e6 AS ms, comm, pid, peer, sni, outcome,"
	" cause, fault FROM handshakes ORDER BY duration_ns DESC;"
	"CREATE VIEW causes AS SELECT cause, fault," TALLY
	" FROM handshakes GROUP BY cause, fault ORDER BY handshakes DESC;"
	/* a client uses a new port each time */
	"CREATE VIEW peers AS SELECT CASE role WHEN 'server' THEN"
	" rtrim(rtrim(peer, '0123456789'), ':') ELSE peer END AS peer, sni," TALLY
	" FROM handshakes GROUP BY 1, sni ORDER BY failed + unfinished DESC, handshakes DESC;"
	"CREATE VIEW programs AS SELECT host, comm," TALLY
	" FROM handshakes GROUP BY host, comm ORDER BY failed + unfinished DESC, handshakes DESC;";

struct database {
	char *path, *unfinished; /* its name until it is complete */
	sqlite3 *db;
	sqlite3_stmt *handshake, *call, *state;
	bool starved; /* memory ran out: a value of a row is missing */
};

/* ---- making it ------------------------------------------------------------------------ */

static int prepare(struct database *to, const char *sql, sqlite3_stmt **out)
{
	return sqlite3_prepare_v2(to->db, sql, -1, out, NULL);
}

static void name_columns(char *sql, bool with_types)
{
	size_t used = strlen(sql);

	for (unsigned i = 0; i < COLUMNS; i++)
		used += (size_t)snprintf(sql + used, SQL_SIZE - used, ", \"%s\"%s", columns[i].name,
					 !with_types			    ? ""
					 : columns[i].type == EXPORT_NUMBER ? " INTEGER"
									    : " TEXT");
}

static int make_tables(struct database *to)
{
	char sql[SQL_SIZE] = "CREATE TABLE handshakes(row INTEGER PRIMARY KEY";
	int result;

	name_columns(sql, true);
	strncat(sql, ");", SQL_SIZE - strlen(sql) - 1);
	result = sqlite3_exec(to->db, sql, NULL, NULL, NULL);
	if (!result)
		result = sqlite3_exec(to->db, more_tables, NULL, NULL, NULL);
	return result ? result : sqlite3_exec(to->db, "BEGIN", NULL, NULL, NULL);
}

static int prepare_all(struct database *to)
{
	char sql[SQL_SIZE] = "INSERT INTO handshakes(row";
	size_t used;

	name_columns(sql, false);
	used = strlen(sql);
	used += (size_t)snprintf(sql + used, SQL_SIZE - used, ") VALUES(NULL");
	for (unsigned i = 0; i < COLUMNS; i++)
		used += (size_t)snprintf(sql + used, SQL_SIZE - used, ",?");
	snprintf(sql + used, SQL_SIZE - used, ")");
	if (prepare(to, sql, &to->handshake) ||
	    prepare(to, "INSERT INTO calls VALUES(?,?,?,?,?,?,?,?)", &to->call))
		return -1;
	return prepare(to, "INSERT INTO states VALUES(?,?,?,?)", &to->state);
}

/* Sets errno to the system's error, which SQLite does not keep if the disk is full. */
static int failed(const struct database *to)
{
	int error = to->db ? sqlite3_system_errno(to->db) : ENOMEM;
	int code = to->db ? sqlite3_errcode(to->db) & 0xff : SQLITE_OK;

	if (code == SQLITE_FULL)
		error = ENOSPC;
	if (code == SQLITE_NOMEM || to->starved)
		error = ENOMEM;
	errno = error ? error : EIO;
	return -1;
}

static void free_database(struct database *to)
{
	sqlite3_finalize(to->handshake);
	sqlite3_finalize(to->call);
	sqlite3_finalize(to->state);
	sqlite3_close(to->db);
	free(to->path);
	free(to->unfinished);
	free(to);
}

static struct database *name_database(const char *path)
{
	struct database *to = calloc(1, sizeof(*to));
	size_t size = strlen(path) + sizeof(".unfinished");

	if (!to)
		return NULL;
	to->path = strdup(path);
	to->unfinished = malloc(size);
	if (to->unfinished)
		snprintf(to->unfinished, size, "%s.unfinished", path);
	return to;
}

static void *begin(const struct export_target *target)
{
	struct database *to = name_database(target->path);
	int error = ENOMEM;

	if (to && to->path && to->unfinished) {
		unlink(to->unfinished);
		if (!sqlite3_open(to->unfinished, &to->db) && !make_tables(to) && !prepare_all(to))
			return to;
		failed(to);
		error = errno;
		unlink(to->unfinished);
	}
	if (to)
		free_database(to);
	errno = error;
	return NULL;
}

/* ---- rows -------------------------------------------------------------------------------- */

static void bind_name(struct database *to, sqlite3_stmt *row, int at, const char *text)
{
	char *clean;
	int result;

	if (clean_is_plain(text)) {
		result = sqlite3_bind_text(row, at, text, -1, SQLITE_TRANSIENT);
	} else {
		clean = clean_copy(text);
		result = clean ? sqlite3_bind_text(row, at, clean, -1, free) : SQLITE_NOMEM;
	}
	to->starved |= result != SQLITE_OK;
}

/* Empty: not known. */
static void bind_text(struct database *to, sqlite3_stmt *row, int at, const char *text)
{
	if (text && *text)
		bind_name(to, row, at, text);
	else
		sqlite3_bind_null(row, at);
}

static void bind_number(sqlite3_stmt *row, int at, uint64_t number)
{
	sqlite3_bind_int64(row, at, (sqlite3_int64)number);
}

static int insert(struct database *to, sqlite3_stmt *row)
{
	int result = to->starved ? SQLITE_NOMEM : sqlite3_step(row);

	sqlite3_reset(row);
	return result == SQLITE_DONE ? 0 : -1;
}

static int put_handshake(struct database *to, const struct column_value *values)
{
	for (unsigned i = 0; i < COLUMNS; i++) {
		if (columns[i].type == EXPORT_TEXT)
			bind_text(to, to->handshake, (int)i + 1, values[i].text);
		else if (values[i].known)
			bind_number(to->handshake, (int)i + 1, values[i].number);
		else
			sqlite3_bind_null(to->handshake, (int)i + 1);
	}
	return insert(to, to->handshake);
}

static int put_states(struct database *to, const struct subject *s, uint64_t row)
{
	for (unsigned i = 0; i < s->h.state_count && i < TLSTALL_STATES; i++) {
		uint64_t state = s->h.states[i];

		bind_number(to->state, 1, row);
		bind_number(to->state, 2, i);
		bind_number(to->state, 3, trace_span_ns(s->trace, TLSTALL_STATE_TICKS(state)));
		bind_name(to, to->state, 4, trace_state_name(s->trace, TLSTALL_STATE_ID(state)));
		if (insert(to, to->state))
			return -1;
	}
	return 0;
}

static int put_calls(struct database *to, const struct gathered *gathered, uint64_t row)
{
	const struct subject *s = gathered->subject;

	for (size_t i = 0; i < gathered->call_count; i++) {
		const struct gathered_call *call = &gathered->calls[i];

		bind_number(to->call, 1, row);
		bind_number(to->call, 2, i);
		bind_number(to->call, 3, gathered_after_ns(gathered, call->ticks));
		bind_number(to->call, 4, trace_span_ns(s->trace, call->duration));
		bind_name(to, to->call, 5, trace_function_name(s->trace, call->function));
		sqlite3_bind_int(to->call, 6, call->ret);
		bind_name(to, to->call, 7, word_error(call->error));
		bind_text(to, to->call, 8, trace_state_name(s->trace, call->state));
		if (insert(to, to->call))
			return -1;
	}
	return 0;
}

static int put(void *context, const struct gathered *gathered, const char *label)
{
	struct database *to = context;
	uint64_t row;

	if (put_handshake(to, columns_of(gathered->subject, label)))
		return failed(to);
	row = (uint64_t)sqlite3_last_insert_rowid(to->db);
	if (put_states(to, gathered->subject, row) || put_calls(to, gathered, row))
		return failed(to);
	return 0;
}

static int end(void *context, bool whole)
{
	struct database *to = context;
	int result = 0, error;

	if (whole && (sqlite3_exec(to->db, indexes, NULL, NULL, NULL) ||
		      sqlite3_exec(to->db, views, NULL, NULL, NULL) ||
		      sqlite3_exec(to->db, "COMMIT", NULL, NULL, NULL)))
		result = failed(to);
	sqlite3_finalize(to->handshake);
	sqlite3_finalize(to->call);
	sqlite3_finalize(to->state);
	to->handshake = to->call = to->state = NULL;
	if (whole && !result && rename(to->unfinished, to->path))
		result = -1;
	error = errno;
	if (!whole || result)
		unlink(to->unfinished);
	free_database(to);
	errno = error;
	return result;
}

const struct format format_sqlite = {
	.name = "sqlite",
	.kind = FORMAT_EXPORT,
	.export = &(const struct format_export){.calls = true,
						.needs_path = true,
						.begin = begin,
						.handshake = put,
						.end = end},
};
