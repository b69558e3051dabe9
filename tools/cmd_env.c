/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall env: the environment that traces a program which something else starts. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "command.h"
#include "nearest.h"
#include "run/settings.h"

/* Long options: the settings in their order, then these. */
enum { OPTION_FORMAT = TLSTALL_SETTING_COUNT, OPTION_SHIM, OPTION_HELP, OPTION_COUNT };

static const struct option longs[] = {
	{"dir", required_argument, NULL, TLSTALL_SETTING_DIR},
	{"mode", required_argument, NULL, TLSTALL_SETTING_MODE},
	{"size", required_argument, NULL, TLSTALL_SETTING_SIZE},
	{"stacks", required_argument, NULL, TLSTALL_SETTING_STACKS},
	{"socket", required_argument, NULL, TLSTALL_SETTING_SOCKET},
	{"reach", required_argument, NULL, TLSTALL_SETTING_REACH},
	{"format", required_argument, NULL, OPTION_FORMAT},
	{"shim", required_argument, NULL, OPTION_SHIM},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};
_Static_assert(sizeof(longs) / sizeof(*longs) == OPTION_COUNT + 1, "an option for each setting");

struct request {
	const char *values[OPTION_COUNT]; /* NULL: not given */
	void (*put)(const char *name, const char *value);
};

/* ---- formats ---------------------------------------------------------------- */

static void put_plain(const char *name, const char *value)
{
	printf("%s=%s\n", name, value);
}

static void put_quoted(const char *value, const char *special)
{
	for (; *value; value++) {
		if (strchr(special, *value))
			putchar('\\');
		putchar(*value);
	}
}

/* systemd expands %, and takes \ and " as shells do between double quotes. */
static void put_systemd(const char *name, const char *value)
{
	printf("Environment=\"%s=", name);
	for (; *value; value++) {
		if (*value == '%')
			putchar('%');
		put_quoted((char[]){*value, '\0'}, "\\\"");
	}
	puts("\"");
}

static void put_docker(const char *name, const char *value)
{
	printf("--env \"%s=", name);
	put_quoted(value, "\\\"$`");
	puts("\" \\");
}

static void put_shell(const char *name, const char *value)
{
	printf("export %s=\"", name);
	put_quoted(value, "\\\"$`");
	puts("\"");
}

static const struct {
	const char *name;
	void (*put)(const char *name, const char *value);
} formats[] = {
	{"plain", put_plain},
	{"systemd", put_systemd},
	{"docker", put_docker},
	{"shell", put_shell},
};

static int set_format(struct request *request, const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (!strcmp(formats[i].name, name)) {
			request->put = formats[i].put;
			return 0;
		}
	}
	return usage_error(&command_env, "unknown format '%s' (plain, systemd, docker or shell)",
			   name);
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
	request->values[option] = option == OPTION_HELP ? "" : optarg;
	if (option == OPTION_FORMAT)
		return set_format(request, optarg);
	if (option < TLSTALL_SETTING_COUNT &&
	    !setting_is_good((enum tlstall_setting)option, optarg))
		return usage_error(&command_env, "--%s %s is not a setting (%s)",
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
	       (option = getopt_long(argc, argv, "+:", longs, NULL)) != -1)
		status = take(request, option, argv);
	if (!status && !request->values[OPTION_HELP] && argv[optind])
		return usage_error(&command_env, "'%s' is no option", argv[optind]);
	return status;
}

static int print(const struct request *request)
{
	const char *shim = request->values[OPTION_SHIM];
	char path[PATH_MAX];

	if (!shim)
		shim = check_find_shim(path, sizeof(path));
	if (!shim)
		return fail("libtlstall.so is not beside this program nor in ../lib/tlstall");
	request->put("LD_PRELOAD", shim);
	for (unsigned i = 0; i < TLSTALL_SETTING_COUNT; i++)
		if (request->values[i])
			request->put(setting_name((enum tlstall_setting)i), request->values[i]);
	return fflush(stdout) ? fail("writing the environment failed") : 0;
}

static int run_env(int argc, char **argv)
{
	struct request request = {.put = put_plain};
	int status = parse(argc, argv, &request);

	if (status)
		return status;
	return request.values[OPTION_HELP] ? command_help(&command_env) : print(&request);
}

const struct command command_env = {
	.name = "env",
	.arguments = "[OPTIONS]",
	.summary = "print the environment for unit files and containers",
	.help = "  --format plain|systemd|docker|shell\n"
		"                       NAME=value lines (the default, for env files and\n"
		"                       docker --env-file), Environment= lines of a unit file,\n"
		"                       options of docker run, or export commands\n"
		"  --dir DIR            where traces are written: TLSTALL_DIR\n"
		"  --mode MODE          all, handshake or off: TLSTALL_MODE\n"
		"  --size BYTES         of one trace file, 256K to 4G: TLSTALL_SIZE\n"
		"  --stacks on|off      call stacks: TLSTALL_STACKS\n"
		"  --socket on|off      ask the kernel about sockets: TLSTALL_SOCKET\n"
		"  --reach WAYS         dlsym,got or one of them or none: TLSTALL_REACH\n"
		"  --shim FILE          the shim's path as the program will see it\n"
		"  --help               this text\n"
		"\n"
		"Prints LD_PRELOAD and the settings that were given; tlstall-env(7) explains\n"
		"them.\n",
	.run = run_env,
};
