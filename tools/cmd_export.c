/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall export: writes traces in formats of other programs. */
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "formats/destination.h"
#include "formats/follow_export.h"
#include "formats/http_post.h"
#include "formats/write_export.h"
#include "message.h"
#include "prune/prune.h"

#define SPOOL_BYTES (1ull << 30)

struct options {
	const struct format *format;
	struct export_target target; /* path NULL: standard output */
	bool limits_spool;
};

static int set_option(struct options *options, int option, char **argv)
{
	switch (option) {
	case 'o':
		options->target.path = optarg;
		return 0;
	case 'f':
		return format_parse(&command_export, FORMAT_RECORDS | FORMAT_EXPORT, optarg,
				    &options->format);
	case 'F':
		options->target.follows = true;
		return 0;
	case 's':
		options->target.spool = optarg;
		return 0;
	case 'b':
		if (prune_parse_size(optarg, &options->target.spool_bytes))
			return usage_error(&command_export,
					   "invalid size '%s' (expected 500M or 2G, for example)",
					   optarg);
		options->limits_spool = true;
		return 0;
	case ':':
		return usage_error(&command_export, "%s needs a value", argv[optind - 1]);
	default:
		return usage_error(&command_export, "unknown option '%s'", argv[optind - 1]);
	}
}

/* What the format says of where it would go. */
static int check_target(const struct options *options)
{
	const struct format_export *export = options->format->export;
	const char *path = options->target.path, *objection;

	if (options->target.spool && (!export || !export->spools))
		return usage_error(&command_export, "--format %s has no spool",
				   options->format->name);
	if (options->limits_spool && !options->target.spool)
		return usage_error(&command_export, "--spool-bytes requires --spool");
	if (!export || !export->needs_path)
		return 0;
	if (!path || !strcmp(path, "-"))
		return usage_error(&command_export, "--format %s needs -o %s",
				   options->format->name, export->streams ? "URL" : "FILE");
	if (export->streams && !http_is_url(path))
		return usage_error(&command_export, "'%s' is not a URL (expected http://... or https://...)", path);
	objection = export->objection ? export->objection(path) : NULL;
	return objection ? usage_error(&command_export, "%s", objection) : 0;
}

static int check_options(const struct options *options, bool any)
{
	if (!options->format)
		return usage_error(&command_export,
				   "no format given (--format " FORMAT_EXPORT_NAMES ")");
	if (!any && !options->target.follows)
		return usage_error(&command_export, "no trace given");
	if (options->target.follows && !format_streams(options->format))
		return usage_error(&command_export, "--format %s cannot follow",
				   options->format->name);
	return check_target(options);
}

static int export_all(const struct options *options, char **arguments, int count)
{
	struct inputs inputs = {0};
	int status = 0, read_status = find_inputs(&inputs, arguments, count);

	if (inputs.count)
		status = format_export(options->format, &inputs, &options->target);
	inputs_free(&inputs);
	return read_status ? read_status : status;
}

static int follow_all(const struct options *options, char **directories)
{
	int status = find_directories(directories);

	return status ? status : format_follow(options->format, directories, &options->target);
}

static int run_export(int argc, char **argv)
{
	static const struct option longs[] = {{"format", required_argument, NULL, 'f'},
					      {"output", required_argument, NULL, 'o'},
					      {"follow", no_argument, NULL, 'F'},
					      {"spool", required_argument, NULL, 's'},
					      {"spool-bytes", required_argument, NULL, 'b'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	struct options options = {.target.spool_bytes = SPOOL_BYTES};
	int option, status = 0;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":ho:", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_export);
		status = set_option(&options, option, argv);
		if (status)
			return status;
	}
	status = check_options(&options, optind < argc);
	if (status)
		return status;
	return options.target.follows ? follow_all(&options, optind < argc ? argv + optind : NULL)
				      : export_all(&options, argv + optind, argc - optind);
}

const struct command command_export = {
	.name = "export",
	.arguments = "--format FORMAT [-o FILE] [--follow] TRACE|DIRECTORY...",
	.summary = "convert traces for spreadsheets, databases, and timelines",
	.help = "  --format " FORMAT_EXPORT_NAMES "  a JSON object for each\n"
		"                     handshake, a line of values for each, a timeline for\n"
		"                     ui.perfetto.dev, a database, spans of OpenTelemetry sent to a\n"
		"                     collector, rows sent to ClickHouse, or a trace for babeltrace2\n"
		"                     and Trace Compass\n"
		"  -o, --output FILE  write to FILE instead of standard output; sqlite needs it,\n"
		"                     and ctf, for which it is a directory that is made;\n"
		"                     for otlp and clickhouse, a URL:\n"
		"                     http://localhost:4318/v1/traces,\n"
		"                     http://localhost:8123/?database=tls\n"
		"  --follow           write handshakes of running programs as they end, until\n"
		"                     SIGTERM, SIGINT or SIGHUP; jsonl, csv, otlp, and clickhouse\n"
		"  --spool DIR        keep what the server has not taken in DIR, and go on there the\n"
		"                     next time; clickhouse\n"
		"  --spool-bytes N    most bytes in DIR, such as 500M or 2G (default 1G)\n"
		"  -h, --help         print this help\n"
		"\n"
		"With --follow name directories, or none for all where traces may lie. Else a\n"
		"directory stands for all traces in it, '-' for standard input (as FILE: "
		"standard\n"
		"output). Traces of running and killed processes can be read; damaged ones are "
		"read\n"
		"as far as possible.\n"
		"\n"
		"Exit status: 0; 1 if a trace could not be read or the export could not be "
		"written;\n"
		"2 wrong usage.\n",
	.run = run_export,
};
