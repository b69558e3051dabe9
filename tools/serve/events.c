/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diagnosis/diagnosis.h"
#include "now.h"
#include "text/print.h"

#define CLIENTS 16u
#define BLOCK 16384
/* A client that accepts nothing for this long is disconnected. */
#define STUCK_S 10u
/* Bytes that the kernel buffers for a client. */
#define SEND_BUFFER 65536
/* Making `now` may take one part in this many of the agent's time. */
#define SHARE 50

struct snapshot {
	unsigned references;
	size_t size;
	char *text;
};

struct events_client {
	struct events *events;
	struct events_client *next;
	struct MHD_Connection *connection;
	uint64_t after;	      /* the last line that it has received */
	struct snapshot *now; /* the last one that was sent, or is being sent */
	char *own;	      /* another event that is being sent */
	const char *text;     /* of either */
	size_t size, sent;
	bool greeted, suspended;
};

/* ---- what is in flight now ------------------------------------------------------- */

static void release(struct snapshot *snapshot)
{
	if (!snapshot || --snapshot->references)
		return;
	free(snapshot->text);
	free(snapshot);
}

static struct snapshot *make_snapshot(struct agent *agent)
{
	struct snapshot *made = calloc(1, sizeof(*made));
	FILE *out = made ? open_memstream(&made->text, &made->size) : NULL;

	if (!out) {
		free(made);
		return NULL;
	}
	made->references = 1;
	fputs("event: now\ndata: ", out);
	agent_write_now(agent, out);
	fputs("\n\n", out);
	if (!fclose(out))
		return made;
	release(made);
	return NULL;
}

static void renew(struct events *events)
{
	uint64_t begun = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	struct snapshot *made = make_snapshot(events->agent);

	if (!made)
		return;
	release(events->now);
	events->now = made;
	events->due_ns =
		now_ns(CLOCK_MONOTONIC) + (now_ns(CLOCK_PROCESS_CPUTIME_ID) - begun) * (SHARE - 1);
}

/* ---- other events ------------------------------------------------------------------- */

static void write_hello(const struct agent *agent, FILE *out)
{
	struct json_line line = {0};
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	json_line_begin(&line);
	member_number(&line, "epoch", agent->started_ns);
	member_text(&line, "host", host);
	member_text(&line, "version", TLSTALL_VERSION);
	member_array(&line, "causes");
	for (int i = 0; i < CAUSE_COUNT; i++) {
		member_object(&line, NULL);
		member_text(&line, "name", cause_name((enum cause)i));
		member_text(&line, "title", cause_title((enum cause)i));
		member_end(&line);
	}
	member_end(&line);
	member_array(&line, "faults");
	for (int i = FAULT_NONE; i <= FAULT_UNKNOWN; i++)
		member_text(&line, NULL, fault_name((enum fault)i));
	json_line_end(&line);
	fputs("retry: 1000\nevent: hello\ndata: ", out);
	if (!line.failed)
		fwrite(line.text, 1, line.length, out);
	fputs("\n\n", out);
	json_line_free(&line);
}

/* The next line of the ring, preceded by how many are missing. */
static void write_line(struct events_client *client, FILE *out)
{
	const struct agent *agent = client->events->agent;
	const struct recent_line *line = recent_next(&agent->recent, client->after);

	if (line->number > client->after + 1)
		print(out, "event: lost\ndata: {\"count\":%" PRIu64 "}\n\n",
		      line->number - client->after - 1);
	print(out, "id: %" PRIu64 "-%" PRIu64 "\nevent: handshake\ndata: ", agent->started_ns,
	      line->number);
	fwrite(line->text, 1, line->length, out);
	fputc('\n', out);
	client->after = line->number;
}

static bool begin_own(struct events_client *client)
{
	FILE *out;

	free(client->own);
	client->own = NULL;
	client->size = client->sent = 0;
	out = open_memstream(&client->own, &client->size);
	if (!out)
		return false;
	if (client->greeted)
		write_line(client, out);
	else
		write_hello(client->events->agent, out);
	client->greeted = true;
	if (fclose(out))
		client->size = 0;
	client->text = client->own;
	return client->size;
}

/* Ended handshakes come before those in flight, so that none is shown in flight after its end. */
static bool begin_next(struct events_client *client)
{
	struct events *events = client->events;

	if (!client->greeted || recent_next(&events->agent->recent, client->after))
		return begin_own(client);
	if (!events->now || events->now == client->now)
		return false;
	release(client->now);
	client->now = events->now;
	client->now->references++;
	client->text = client->now->text;
	client->size = client->now->size;
	client->sent = 0;
	return true;
}

/* ---- clients ---------------------------------------------------------------------------- */

static ssize_t read_next(void *context, uint64_t position, char *buffer, size_t room)
{
	struct events_client *client = context;
	size_t filled = 0;

	(void)position;
	if (client->events->closing)
		return MHD_CONTENT_READER_END_OF_STREAM;
	while (filled < room && (client->sent < client->size || begin_next(client))) {
		size_t part = client->size - client->sent;

		if (part > room - filled)
			part = room - filled;
		memcpy(buffer + filled, client->text + client->sent, part);
		client->sent += part;
		filled += part;
	}
	if (!filled) {
		client->suspended = true;
		mhd.suspend_connection(client->connection);
	}
	return (ssize_t)filled;
}

static void forget(void *context)
{
	struct events_client *client = context, **link = &client->events->clients;
	struct events *events = client->events;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	release(client->now);
	free(client->own);
	free(client);
	if (--events->count)
		return;
	release(events->now);
	events->now = NULL;
}

/*
 * The last number that the client has received from this agent; without one, all that are kept are
 * new.
 */
static uint64_t place_of(const struct agent *agent, const char *after)
{
	uint64_t all = agent->recent.last - agent->recent.count, epoch, number;

	if (!after || sscanf(after, "%" SCNu64 "-%" SCNu64, &epoch, &number) != 2 ||
	    epoch != agent->started_ns || number > agent->recent.last)
		return all;
	return number;
}

static void bound(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	int size = SEND_BUFFER;

	if (info)
		setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	mhd.set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, STUCK_S);
}

struct MHD_Response *events_answer(struct events *events, struct MHD_Connection *connection,
				   const char *after)
{
	struct MHD_Response *response;
	struct events_client *client;

	client = events->count < CLIENTS ? calloc(1, sizeof(*client)) : NULL;
	if (!client)
		return NULL;
	response = mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_next, client, forget);
	if (!response) {
		free(client);
		return NULL;
	}
	*client = (struct events_client){.events = events,
					 .next = events->clients,
					 .connection = connection,
					 .after = place_of(events->agent, after)};
	events->clients = client;
	events->count++;
	bound(connection);
	if (!events->now)
		renew(events);
	return response;
}

static void wake(const struct events *events)
{
	for (struct events_client *client = events->clients; client; client = client->next) {
		if (client->suspended)
			mhd.resume_connection(client->connection);
		client->suspended = false;
	}
}

void events_tell(struct events *events)
{
	if (!events->clients)
		return;
	if (now_ns(CLOCK_MONOTONIC) >= events->due_ns)
		renew(events);
	wake(events);
}

void events_close(struct events *events)
{
	events->closing = true;
	wake(events);
}
