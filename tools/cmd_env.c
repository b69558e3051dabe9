/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall env: prints the environment that traces a program started by something else. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "command.h"
#include "message.h"
#include "nearest.h"
#include "run/settings.h"
#include "text/clean.h"
#include "text/print.h"

/* Long options: the settings in their order, then these. */
enum { OPTION_FORMAT = TLSTALL_SETTING_COUNT, OPTION_SHIM, OPTION_HELP, OPTION_COUNT };

static const struct option longs[] = {
	{"dir", required_argument, NULL, TLSTALL_SETTING_DIR},
	{"mode", required_argument, NULL, TLSTALL_SETTING_MODE},
	{"size", required_argument, NULL, TLSTALL_SETTING_SIZE},
	{"stacks", required_argument, NULL, TLSTALL_SETTING_STACKS},
	{"socket", required_argument, NULL, TLSTALL_SETTING_SOCKET},
	{"reach", required_argument, NULL, TLSTALL_SETTING_REACH},
	{"keep", required_argument, NULL, TLSTALL_SETTING_KEEP},
	{"late", required_argument, NULL, TLSTALL_SETTING_LATE},
	{"sample", required_argument, NULL, TLSTALL_SETTING_SAMPLE},
	{"remote", required_argument, NULL, TLSTALL_SETTING_REMOTE},
	{"limit", required_argument, NULL, TLSTALL_SETTING_LIMIT},
	{"privacy", required_argument, NULL, TLSTALL_SETTING_PRIVACY},
	{"format", required_argument, NULL, OPTION_FORMAT},
	{"shim", required_argument, NULL, OPTION_SHIM},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};
_Static_assert(sizeof(longs) / sizeof(*longs) == OPTION_COUNT + 1, "an option for each setting");

struct request {
	const char *values[OPTION_COUNT]; /* NULL: not given */
	const struct notation *notation;
};

/* ---- formats ---------------------------------------------------------------- */

/* How unit files, shells and so on write NAME and VALUE. */
struct notation {
	const char *name;
	const char *before, *between, *after;
	const char *escaped; /* characters that a backslash makes literal */
	const char *doubled; /* ... that are doubled instead */
};

static const struct notation notations[] = {
	{"plain", "", "=", "", "", ""},
	{"systemd", "Environment=\"", "=", "\"", "\\\"", "%"},
	{"docker", "--env \"", "=", "\" \\", "\\\"$`", ""},
	{"shell", "export ", "=\"", "\"", "\\\"$`", ""},
};

/* Values that cannot be printed cannot be written down, either. */
static int put(const struct notation *notation, const char *name, const char *value)
{
	char text[2 * PATH_MAX];
	size_t used = 0;

	if (!clean_is(value))
		return fail("%s=%s cannot be printed (use only printable characters)", name, value);
	for (; *value && used + 2 < sizeof(text); value++) {
		if (strchr(notation->escaped, *value))
			text[used++] = '\\';
		else if (strchr(notation->doubled, *value))
			text[used++] = *value;
		text[used++] = *value;
	}
	text[used] = '\0';
	print(stdout, "%s%s%s%s%s\n", notation->before, name, notation->between, text,
	      notation->after);
	return 0;
}

static int set_format(struct request *request, const char *name)
{
	for (size_t i = 0; i < sizeof(notations) / sizeof(*notations); i++) {
		if (!strcmp(notations[i].name, name)) {
			request->notation = &notations[i];
			return 0;
		}
	}
	return usage_error(&command_env,
			   "unknown format '%s' (expected plain, systemd, docker or shell)", name);
}

/* ---- options ------------------------------------------------------------------ */

static int unknown(const char *text)
{
	const char *names[OPTION_COUNT + 1] = {NULL}, *near;
	char name[64];

	for (unsigned i = 0; i < OPTION_COUNT; i++)
		names[i] = longs[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, "="), text + strspn(text, "-"));
	near = nearest(name, names);
	if (near)
		return usage_error(&command_env, "unknown option '%s' (did you mean '--%s'?)", text,
				   near);
	return usage_error(&command_env, "unknown option '%s'", text);
}

static int take(struct request *request, int option, char **argv)
{
	if (option == ':')
		return usage_error(&command_env, "%s needs a value", argv[optind - 1]);
	if (option == '?')
		return unknown(argv[optind - 1]);
	if (optarg && !clean_is(optarg))
		return usage_error(&command_env, "%s cannot be printed (use only printable characters)", optarg);
	request->values[option == 'h' ? OPTION_HELP : option] = optarg ? optarg : "";
	if (option == OPTION_FORMAT)
		return set_format(request, optarg);
	if (option == OPTION_SHIM && !check_can_preload(optarg))
		return usage_error(&command_env, "invalid value for --shim: %s (%s)", optarg,
				   CHECK_NO_PRELOAD);
	if (option < TLSTALL_SETTING_COUNT &&
	    !setting_is_good((enum tlstall_setting)option, optarg))
		return usage_error(&command_env, "invalid value for --%s: %s (expected %s)",
				   longs[option].name, optarg,
				   setting_values((enum tlstall_setting)option));
	return 0;
}

static int parse(int argc, char **argv, struct request *request)
{
	int option, status = 0;

	opterr = 0;
	optind = 0;
	while (!status && !request->values[OPTION_HELP] &&
	       (option = getopt_long(argc, argv, "+:h", longs, NULL)) != -1)
		status = take(request, option, argv);
	if (!status && !request->values[OPTION_HELP] && argv[optind])
		return usage_error(&command_env, "unexpected argument '%s'", argv[optind]);
	return status;
}

static int show(const struct request *request)
{
	const char *shim = request->values[OPTION_SHIM];
	char path[PATH_MAX];
	int status;

	if (!shim)
		shim = check_find_shim(path, sizeof(path));
	if (!shim)
		return fail(CHECK_NO_SHIM);
	if (!check_can_preload(shim))
		return fail("%s: %s (move it)", shim, CHECK_NO_PRELOAD);
	status = put(request->notation, "LD_PRELOAD", shim);
	for (unsigned i = 0; i < TLSTALL_SETTING_COUNT && !status; i++)
		if (request->values[i])
			status = put(request->notation, setting_name((enum tlstall_setting)i),
				     request->values[i]);
	return status;
}

static int run_env(int argc, char **argv)
{
	/* what it prints is for production use */
	struct request request = {.notation = notations, .values[TLSTALL_SETTING_MODE] = "watch"};
	int status = parse(argc, argv, &request);

	if (status)
		return status;
	return request.values[OPTION_HELP] ? command_help(&command_env) : show(&request);
}

const struct command command_env = {
	.name = "env",
	.arguments = "[OPTIONS]",
	.summary = "print the environment for unit files and containers",
	.help = "  --format plain|systemd|docker|shell\n"
		"                       NAME=value lines (the default, for env files and\n"
		"                       docker --env-file), Environment= lines of a unit file,\n"
		"                       options of docker run, or export commands\n"
		"  --dir DIR            TLSTALL_DIR: where traces are written\n"
		"  --mode MODE          TLSTALL_MODE: watch (default here), all,\n"
		"                       handshake or off\n"
		"  --size BYTES         TLSTALL_SIZE: size of one trace file, 256K to 4G\n"
		"  --stacks on|off      TLSTALL_STACKS: record call stacks\n"
		"  --socket auto|on|off TLSTALL_SOCKET: ask the kernel about sockets\n"
		"  --reach WAYS         TLSTALL_REACH: dlsym,got,inside, some of them, or none\n"
		"  --keep all|bad|none  TLSTALL_KEEP: which traces outlive their process\n"
		"  --late MS            TLSTALL_LATE: when a call is late in mode watch\n"
		"  --sample N           TLSTALL_SAMPLE: in mode watch, record one in N in full\n"
		"  --remote on|off      TLSTALL_REMOTE: use network and FUSE file systems\n"
		"  --limit BYTES        TLSTALL_LIMIT: most for all traces of a user, 1M to 1024G\n"
		"  --privacy WHAT       TLSTALL_PRIVACY: leave out peer, sni, stacks, or none\n"
		"  --shim FILE          path of the shim as the program will see it\n"
		"  -h, --help           print this help\n"
		"\n"
		"Prints LD_PRELOAD and the given settings; tlstall-env(7) explains them.\n",
	.run = run_env,
};
