/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/events.h"
#include "serve/metrics.h"
#include "web/assets.h"

#define CONNECTIONS 64u
#define IDLE_S 30u

struct http {
	struct MHD_Daemon *daemon;
	struct agent *agent;
	struct events events;
	const char *token;
	bool local;
	char policy[WEB_POLICY_SIZE]; /* Content-Security-Policy of the answer being made */
};

/* What is served at a path. */
struct route {
	const char *path, *type;
	void (*write)(struct http *http, FILE *out);
};

/* For all except the live page: the browser must not load or run anything. */
#define NO_POLICY "default-src 'none'; frame-ancestors 'none'"

static void write_healthz(struct http *http, FILE *out)
{
	(void)http;
	fputs("ok\n", out);
}

static void write_metrics(struct http *http, FILE *out)
{
	metrics_write(http->agent, out);
}

static void write_handshakes(struct http *http, FILE *out)
{
	recent_write(&http->agent->recent, out);
	agent_write_in_flight(http->agent, out);
}

static void write_live(struct http *http, FILE *out)
{
	web_live_write(out, http->policy);
}

static const struct route routes[] = {
	{"/", "text/html; charset=utf-8", write_live},
	{"/healthz", "text/plain; charset=utf-8", write_healthz},
	{"/metrics", METRICS_TYPE, write_metrics},
	{"/api/handshakes", "application/jsonl; charset=utf-8", write_handshakes},
};

/* ---- access ------------------------------------------------------------------------- */

/* Compares in constant time. */
static bool is_token(const char *given, const char *token)
{
	size_t length = strlen(token), given_length = strlen(given);
	unsigned char differ = length != given_length;

	for (size_t i = 0; i < given_length; i++)
		differ |= (unsigned char)(given[i] ^ token[length ? i % length : 0]);
	return !differ;
}

/* A browser asks the user for a name and password, and sends them with all requests of the page. */
static bool is_password(struct MHD_Connection *connection, const char *token)
{
	char *password = NULL, *name = mhd.basic_auth_get_username_password(connection, &password);
	bool right = password && is_token(password, token);

	if (password)
		mhd.free(password);
	if (name)
		mhd.free(name);
	return right;
}

static bool may_ask(const struct http *http, struct MHD_Connection *connection)
{
	const char *said = mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");

	if (!http->token)
		return true;
	if (said && !strncmp(said, "Bearer ", 7))
		return is_token(said + 7, http->token);
	return is_password(connection, http->token);
}

/*
 * DNS rebinding: a page of another site can make a browser send us requests under that site's name
 * if its DNS points to this host. Genuine requests name an address or localhost.
 */
static bool is_meant(const struct http *http, struct MHD_Connection *connection)
{
	const char *host = mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	size_t length;

	if (!http->local || !host)
		return true;
	if (*host == '[')
		return true;
	length = strcspn(host, ":");
	return strspn(host, "0123456789.") == length ||
	       (length == 9 && !strncasecmp(host, "localhost", 9));
}

/* Pages of other sites may link here, but neither embed nor fetch anything. */
static bool is_ours(struct MHD_Connection *connection)
{
	const char *site = mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Site");
	const char *mode = mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Mode");

	return !site || !strcmp(site, "same-origin") || !strcmp(site, "none") ||
	       (mode && !strcmp(mode, "navigate"));
}

/* ---- answers ---------------------------------------------------------------------------- */

/* Queues the response, and drops our reference to it. */
static enum MHD_Result give(struct MHD_Connection *connection, unsigned status, const char *type,
			    const char *policy, struct MHD_Response *response)
{
	enum MHD_Result result;

	mhd.add_response_header(response, "Content-Type", type);
	mhd.add_response_header(response, "Content-Security-Policy", policy);
	mhd.add_response_header(response, "Cache-Control", "no-store");
	mhd.add_response_header(response, "Referrer-Policy", "no-referrer");
	mhd.add_response_header(response, "X-Content-Type-Options", "nosniff");
	mhd.add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	if (status == MHD_HTTP_UNAUTHORIZED) {
		mhd.add_response_header(response, "WWW-Authenticate", "Bearer");
		mhd.add_response_header(response, "WWW-Authenticate",
					"Basic realm=\"tlstall: any name, the token as password\"");
	}
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		mhd.add_response_header(response, "Allow", "GET, HEAD");
	result = mhd.queue_response(connection, status, response);
	mhd.destroy_response(response);
	return result;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
			      const char *policy, char *text, size_t size)
{
	struct MHD_Response *response =
		mhd.create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);

	if (response)
		return give(connection, status, type, policy, response);
	free(text);
	return MHD_NO;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *why)
{
	char *text = strdup(why);

	return text ? answer(connection, status, "text/plain; charset=utf-8", NO_POLICY, text,
			     strlen(text))
		    : MHD_NO;
}

static enum MHD_Result show(struct http *http, struct MHD_Connection *connection,
			    const struct route *route)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return MHD_NO;
	snprintf(http->policy, sizeof(http->policy), "%s", NO_POLICY);
	route->write(http, out);
	if (fclose(out)) {
		free(text);
		return MHD_NO;
	}
	return answer(connection, MHD_HTTP_OK, route->type, http->policy, text, size);
}

/* The last event's id is in a header if a browser reconnects, in a parameter if the page does. */
static enum MHD_Result stream(struct http *http, struct MHD_Connection *connection)
{
	const char *after =
		mhd.lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID");
	struct MHD_Response *response;

	if (!after)
		after = mhd.lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "after");
	response = events_answer(&http->events, connection, after);
	if (!response)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many live pages\n");
	return give(connection, MHD_HTTP_OK, "text/event-stream", NO_POLICY, response);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	static int seen;
	struct http *http = context;

	(void)version;
	(void)upload;
	/* the first call has only the headers: answering now would close the connection */
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (!is_meant(http, connection))
		return refuse(connection, MHD_HTTP_FORBIDDEN, "use an address or localhost in the URL\n");
	if (!is_ours(connection))
		return refuse(connection, MHD_HTTP_FORBIDDEN,
			      "requests from other sites are refused\n");
	if (!may_ask(http, connection))
		return refuse(connection, MHD_HTTP_UNAUTHORIZED, "a bearer token is required\n");
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
	if (!strcmp(path, "/events"))
		return stream(http, connection);
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
		if (!strcmp(path, routes[i].path))
			return show(http, connection, &routes[i]);
	return refuse(connection, MHD_HTTP_NOT_FOUND, "no such page\n");
}

/* ---- begin and end -------------------------------------------------------------------------- */

/* Does not log errors of clients. */
static void on_log(void *context, const char *format, va_list arguments)
{
	(void)context;
	(void)format;
	(void)arguments;
}

struct http *http_open(struct agent *agent, const struct listening *listening, const char *token)
{
	struct http *http;

	if (!mhd_load()) {
		errno = ELIBACC;
		return NULL;
	}
	http = calloc(1, sizeof(*http));
	if (!http)
		return NULL;
	*http = (struct http){.agent = agent,
			      .events = {.agent = agent},
			      .token = token,
			      .local = listening->local};
	http->daemon = mhd.start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER,
		(MHD_LogCallback)on_log, NULL, MHD_OPTION_LISTEN_SOCKET, listening->fd,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
		MHD_OPTION_END);
	if (http->daemon)
		return http;
	free(http);
	return NULL;
}

int http_descriptor(const struct http *http)
{
	const union MHD_DaemonInfo *info = mhd.get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info ? info->epoll_fd : -1;
}

int http_timeout(const struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return mhd.get_timeout(http->daemon, &ms) == MHD_YES ? (int)ms : -1;
}

void http_run(struct http *http)
{
	mhd.run(http->daemon);
}

void http_tell(struct http *http)
{
	events_tell(&http->events);
}

void http_close(struct http *http)
{
	events_close(&http->events);
	mhd.run(http->daemon);
	mhd.stop_daemon(http->daemon);
	free(http);
}
