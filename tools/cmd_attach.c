/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall attach: loads the shim into a running process, shows its calls, and detaches. */
#include "command.h"
#include "run/attached.h"
#include "run/options.h"

static int run_attach(int argc, char **argv)
{
	struct run_options options;
	int status = run_options_parse(&command_attach, argc, argv, true, &options);

	if (!status && options.pid)
		status = attached_run(&options);
	run_options_free(&options);
	return status;
}

const struct command command_attach = {
	.name = "attach",
	.arguments = "[OPTIONS] PID",
	.summary = "trace the handshakes of a process that is already running",
	.help = attach_options_help,
	.run = run_attach,
};
