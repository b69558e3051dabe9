/* SPDX-License-Identifier: Apache-2.0 */
#include "live/looked_table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live/looked_text.h"
#include "text/table.h"
#include "words/words.h"

/* What is kept of a process once its look has been freed. */
struct row {
	pid_t pid;
	char comm[16];
	unsigned objects, in_handshake, mute;
	uint64_t longest_ns;
	enum cause cause; /* of its longest wait */
	struct tlstall_address peer;
	char name[72];
};

struct looked_table {
	struct row *rows;
	unsigned count;
	bool failed; /* memory ran out: a row is missing */
};

struct looked_table *looked_table_new(void)
{
	return calloc(1, sizeof(struct looked_table));
}

void looked_table_free(struct looked_table *table)
{
	if (!table)
		return;
	free(table->rows);
	free(table);
}

void looked_table_add(struct looked_table *table, const struct looked *looked)
{
	struct row *rows = reallocarray(table->rows, table->count + 1, sizeof(*rows));
	const struct subject *worst = looked->count ? looked->subjects[0] : NULL;
	struct row row = {
		.pid = looked->look.pid,
		.objects = looked->look.count,
		.in_handshake = looked->look.in_handshake,
	};

	table->failed |= !rows;
	if (!rows)
		return;
	memcpy(row.comm, looked->look.comm, sizeof(row.comm));
	for (unsigned i = 0; i < looked->look.sockets.count; i++)
		row.mute += looked_is_mute(&looked->look.sockets.list[i]);
	if (worst) {
		row.longest_ns = worst->facts.age_ns;
		row.cause = worst->verdicts[0].cause;
		row.peer = worst->h.peer;
		memcpy(row.name, worst->h.sni, sizeof(row.name));
	}
	table->rows = rows;
	rows[table->count++] = row;
}

static int in_handshake_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (!x->in_handshake != !y->in_handshake)
		return x->in_handshake ? -1 : 1;
	if (x->longest_ns != y->longest_ns)
		return x->longest_ns > y->longest_ns ? -1 : 1;
	return x->pid < y->pid ? -1 : 1;
}

static const char *or_none(const char *text)
{
	return *text ? text : "-";
}

static void print_row(struct table *table, const struct row *row)
{
	char word[WORD_SIZE];

	table_line(table);
	table_cell(table, 0, "%d", row->pid);
	table_cell(table, 1, "%s", row->comm);
	table_cell(table, 2, "%u", row->objects);
	table_cell(table, 3, "%u", row->in_handshake);
	table_cell(table, 4, "%u", row->mute);
	table_cell(table, 5, "%s", row->longest_ns ? word_duration(row->longest_ns, word) : "-");
	table_cell(table, 6, "%s", row->in_handshake ? cause_name(row->cause) : "-");
	table_cell(table, 7, "%s", or_none(word_address(&row->peer, word)));
	table_cell(table, 8, "%s", or_none(row->name));
}

int looked_table_print(struct looked_table *table, FILE *out)
{
	static const struct table_column columns[] = {{"PID", SCOLS_FL_RIGHT},
						      {"COMMAND", 0},
						      {"TLS", SCOLS_FL_RIGHT},
						      {"IN HANDSHAKE", SCOLS_FL_RIGHT},
						      {"NO OBJECT", SCOLS_FL_RIGHT},
						      {"AT LEAST", SCOLS_FL_RIGHT},
						      {"CAUSE", 0},
						      {"PEER", 0},
						      {"SNI", 0}};
	struct table cells;

	table_open(&cells, out, isatty(fileno(out)), columns, 9);
	if (table->count)
		qsort(table->rows, table->count, sizeof(*table->rows), in_handshake_first);
	for (unsigned i = 0; i < table->count; i++)
		print_row(&cells, &table->rows[i]);
	cells.failed |= table->failed;
	return table_close(&cells, NULL);
}
