/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ending.h"
#include "message.h"
#include "serve/http.h"
#include "serve/notify.h"
#include "text/print.h"

#define TOKEN_SIZE 512

struct serving {
	struct agent agent;
	struct listening listening;
	struct http *http;
	char token[TOKEN_SIZE];
	int signals;
	bool stopped;
};

/* ---- the token -------------------------------------------------------------------- */

/* Reads the file's first line. Refuses a file that everybody can read. */
static int read_token(const char *path, char token[TOKEN_SIZE])
{
	FILE *file = fopen(path, "re");
	struct stat st;
	bool open, cut;

	if (!file)
		return fail("%s: %s", path, strerror(errno));
	open = fstat(fileno(file), &st) == 0 && (st.st_mode & S_IRWXO);
	if (!fgets(token, TOKEN_SIZE, file))
		token[0] = '\0';
	cut = !strpbrk(token, "\r\n") && !feof(file);
	fclose(file);
	token[strcspn(token, "\r\n")] = '\0';
	if (open)
		return fail("%s: everybody can read it (chmod o= %s)", path, path);
	if (!token[0])
		return fail("%s: no token in its first line", path);
	if (cut)
		return fail("%s: its first line is too long for a token (at most %d bytes)", path,
			    TOKEN_SIZE - 2);
	return 0;
}

/* ---- the loop ------------------------------------------------------------------------ */

static void tell_status(struct serving *s)
{
	char status[256], state[300];

	agent_status(&s->agent, status, sizeof(status));
	snprintf(state, sizeof(state), "STATUS=%s", status);
	notify(state);
}

static void read_signals(struct serving *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info))
		s->stopped = true;
}

static int least(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void loop(struct serving *s)
{
	uint64_t told = 0;

	while (!s->stopped) {
		struct pollfd events[] = {{s->signals, POLLIN, 0},
					  {http_descriptor(s->http), POLLIN, 0}};
		int ms = agent_tick(&s->agent);

		if (s->agent.polled_ns != told) {
			tell_status(s);
			http_tell(s->http);
		}
		told = s->agent.polled_ns;
		poll(events, 2, least(http_timeout(s->http), ms));
		read_signals(s);
		http_run(s->http);
	}
	notify("STOPPING=1");
}

static int take_signals(struct serving *s)
{
	signal(SIGPIPE, SIG_IGN);
	s->signals = ending_signals();
	return s->signals < 0 ? fail("signalfd: %s", strerror(errno)) : 0;
}

static int answer(struct serving *s, const struct serve_options *options)
{
	int status = agent_open(&s->agent, &options->agent);

	if (status)
		return status;
	s->http = http_open(&s->agent, &s->listening, options->token ? s->token : NULL);
	if (!s->http)
		return fail("cannot serve %s: %s", s->listening.name, strerror(errno));
	/* collect what there is before the first request */
	agent_tick(&s->agent);
	print(stdout, "tlstall: serving %s\n", s->listening.name);
	fflush(stdout);
	notify("READY=1");
	loop(s);
	http_close(s->http);
	agent_close(&s->agent);
	return 0;
}

int serve(const struct serve_options *options)
{
	struct serving *s = calloc(1, sizeof(*s));
	int status;

	if (!s)
		return fail("out of memory");
	status = options->token ? read_token(options->token, s->token) : 0;
	if (!status)
		status = listen_open(options->listen, options->token, &s->listening);
	if (!status && !(status = take_signals(s)))
		status = answer(s, options);
	listen_close(&s->listening);
	free(s);
	return status;
}
