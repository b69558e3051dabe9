/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall serve: shows what happens on this host, to Prometheus and to people. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "formats/destination.h"
#include "message.h"
#include "serve/listen.h"
#include "serve/loop.h"

static int set_number(const char *text, const char *of, unsigned most, unsigned *number)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > most)
		return usage_error(&command_serve, "invalid number of %s '%s' (expected 0 to %u)", of, text,
				   most);
	*number = (unsigned)value;
	return 0;
}

static int set_option(struct serve_options *options, int option, char **argv)
{
	struct retention *keep = &options->agent.retention;

	switch (option) {
	case 'l':
		options->listen = optarg;
		return 0;
	case 't':
		options->token = optarg;
		return 0;
	case 's':
		options->agent.state = optarg;
		return 0;
	case 'p':
		return set_number(optarg, "peers", PEERS_SHOWN_MAX, &options->agent.peers);
	case 'o':
		return prune_parse_age(optarg, &keep->older_s)
			       ? usage_error(&command_serve,
					     "invalid age '%s' (expected 30m, 12h or 7d, for example)",
					     optarg)
			       : 0;
	case 'k':
		return prune_parse_size(optarg, &keep->keep_bytes)
			       ? usage_error(&command_serve,
					     "invalid size '%s' (expected 500M or 2G, for example)",
					     optarg)
			       : 0;
	case 'n':
		return set_number(optarg, "traces", UINT_MAX - 1, &keep->keep_traces);
	case ':':
		return usage_error(&command_serve, "%s needs a value", argv[optind - 1]);
	default:
		return usage_error(&command_serve, "unknown option '%s'", argv[optind - 1]);
	}
}

/* systemd provides a state directory. */
static const char *default_state(char buffer[4096])
{
	const char *directory = getenv("STATE_DIRECTORY");

	if (!directory || *directory != '/' || strchr(directory, ':'))
		return NULL;
	snprintf(buffer, 4096, "%s/counted", directory);
	return buffer;
}

static int run_serve(int argc, char **argv)
{
	static const struct option longs[] = {{"listen", required_argument, NULL, 'l'},
					      {"token", required_argument, NULL, 't'},
					      {"state", required_argument, NULL, 's'},
					      {"peers", required_argument, NULL, 'p'},
					      {"older", required_argument, NULL, 'o'},
					      {"keep-bytes", required_argument, NULL, 'k'},
					      {"keep-traces", required_argument, NULL, 'n'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	char state[4096];
	struct serve_options options = {
		.listen = LISTEN_DEFAULT,
		.agent = {.state = default_state(state),
			  .retention = {.older_s = -1, .keep_bytes = UINT64_MAX, .keep_traces = UINT_MAX}},
	};
	int option, status;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":hl:", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_serve);
		status = set_option(&options, option, argv);
		if (status)
			return status;
	}
	if (optind < argc)
		options.agent.directories = argv + optind;
	status = find_directories(options.agent.directories);
	return status ? status : serve(&options);
}

const struct command command_serve = {
	.name = "serve",
	.arguments = "[OPTIONS] [DIRECTORY...]",
	.summary = "follow all traces of this host; serve a live page and metrics for Prometheus",
	.help = "  -l, --listen ADDRESS:PORT|unix:PATH\n"
		"                      where to answer HTTP; " LISTEN_DEFAULT " by default\n"
		"  --token FILE        answer only requests with this bearer token; required\n"
		"                      if other hosts can connect\n"
		"  --state FILE        remember what was counted, for the next start;\n"
		"                      $STATE_DIRECTORY/counted under systemd\n"
		"  --peers N           show the N peers with most failures in /metrics; up to 100\n"
		"  --older AGE         remove traces without a sign of life for AGE: 12h, 7d\n"
		"  --keep-bytes SIZE   remove the oldest traces beyond SIZE: 500M, 2G\n"
		"  --keep-traces N     remove the oldest traces beyond N\n"
		"  -h, --help          print this help\n"
		"\n"
		"Answers / (a live page), /metrics, /healthz, /api/handshakes and /events.\n"
		"Without a directory: $TLSTALL_DIR,\n"
		"else the default directories of this user, or, for root, of all users.\n"
		"Traces are removed by the rules of 'tlstall clean': never those of running\n"
		"processes. Ends on SIGTERM, SIGINT and SIGHUP.\n",
	.run = run_serve,
};
