/* SPDX-License-Identifier: Apache-2.0 */
#include "run/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"
#include "tlstall/environment.h"
#include "trace/host.h"

/*
 * Larger than the shim's default: what a spinning program writes while we are off the CPU must fit.
 * Still made in 0.1 ms on a disk, in 2 ms in memory.
 */
#define TRACE_SIZE "16M"

/* ---- environment ----------------------------------------------------------- */

static bool is_shim(const char *path, size_t length)
{
	const char *name = memrchr(path, '/', length);

	name = name ? name + 1 : path;
	return (size_t)(path + length - name) == strlen("libtlstall.so") &&
	       !strncmp(name, "libtlstall.so", strlen("libtlstall.so"));
}

char *launch_preload(const char *existing, const char *shim)
{
	size_t size = strlen(shim) + strlen(existing ? existing : "") + 2;
	char *preload = malloc(size), *end = preload;

	if (!preload)
		return NULL;
	/* the dynamic loader separates entries at spaces and colons */
	for (const char *at = existing ? existing : ""; *at; at += strspn(at, ": ")) {
		size_t length = strcspn(at, ": ");

		if (length && !is_shim(at, length))
			end += sprintf(end, "%.*s:", (int)length, at);
		at += length;
	}
	/*
	 * last, so that another library there that interposes SSL_connect is called first and then
	 * calls ours
	 */
	strcpy(end, shim);
	return preload;
}

static int set_environment(const char *shim, const char *directory)
{
	char *preload = launch_preload(getenv("LD_PRELOAD"), shim);

	if (!preload || setenv("LD_PRELOAD", preload, 1) || setenv("TLSTALL_DIR", directory, 1) ||
	    setenv("TLSTALL_SIZE", TRACE_SIZE, 0))
		return -1;
	free(preload);
	return 0;
}

/* ---- start ------------------------------------------------------------------ */

/* In the child; never returns. If exec fails, tells the parent why through the pipe. */
static void become_program(const struct launch *launch, char **argv, const char *shim,
			   const char *directory, int report)
{
	int error = ENOMEM;

	sigaction(SIGCHLD, &launch->child, NULL);
	sigaction(SIGPIPE, &launch->pipe, NULL);
	sigprocmask(SIG_SETMASK, &launch->mask, NULL);
	if (!shim || !set_environment(shim, directory)) {
		execvp(argv[0], argv);
		error = errno;
	}
	if (write(report, &error, sizeof(error)) < 0)
		_exit(EXIT_NOT_FOUND);
	_exit(EXIT_NOT_FOUND);
}

static int explain(const char *program, int error)
{
	struct stat status;

	if (error == ENOENT && !strchr(program, '/')) {
		complain("%s: command not found (in no directory of PATH)", program);
		return EXIT_NOT_FOUND;
	}
	if (error == EACCES && !stat(program, &status) && S_ISDIR(status.st_mode))
		error = EISDIR;
	complain("%s: %s", program, strerror(error));
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

/* Receives signals through a descriptor, so that they never interrupt our system calls. */
static int take_signals(struct launch *launch)
{
	static const int numbers[] = {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
	struct sigaction standard = {.sa_handler = SIG_DFL}, ignore = {.sa_handler = SIG_IGN};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, &launch->mask);
	/* with an inherited SIG_IGN we would not learn of the program's end */
	sigaction(SIGCHLD, &standard, &launch->child);
	sigaction(SIGPIPE, &ignore, &launch->pipe);
	launch->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return launch->signals < 0 ? -1 : 0;
}

int launch_start(struct launch *launch, char **argv, const char *shim, const char *directory)
{
	int report[2], error;
	ssize_t got;

	memset(launch, 0, sizeof(*launch));
	if (take_signals(launch) || pipe2(report, O_CLOEXEC))
		return fail("starting %s: %s", argv[0], strerror(errno));
	launch->pid = fork();
	if (launch->pid < 0)
		return fail("starting %s: %s", argv[0], strerror(errno));
	if (!launch->pid)
		become_program(launch, argv, shim, directory, report[1]);
	close(report[1]);
	do {
		got = read(report[0], &error, sizeof(error));
	} while (got < 0 && errno == EINTR);
	close(report[0]);
	launch->start = host_start(launch->pid);
	if (got != sizeof(error))
		return 0;
	waitpid(launch->pid, NULL, 0);
	return explain(argv[0], error);
}

/* ---- while it runs ------------------------------------------------------------ */

static void collect(struct launch *launch)
{
	int status;

	if (launch->ended || waitpid(launch->pid, &status, WNOHANG) != launch->pid)
		return;
	if (!WIFEXITED(status) && !WIFSIGNALED(status))
		return;
	launch->ended = true;
	launch->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * A signal from the terminal has already reached the whole process group; one sent only to us is
 * meant for the program.
 */
static void hand_on(struct launch *launch, const struct signalfd_siginfo *info)
{
	if (info->ssi_signo != SIGUSR1 && info->ssi_signo != SIGUSR2)
		launch->told = true;
	if (launch->ended)
		launch->hurry = true;
	else if (info->ssi_code != SI_KERNEL)
		kill(launch->pid, (int)info->ssi_signo);
}

void launch_signals(struct launch *launch)
{
	struct signalfd_siginfo info;

	while (read(launch->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			collect(launch);
		else
			hand_on(launch, &info);
	}
}

void launch_close(struct launch *launch)
{
	if (launch->signals > 0)
		close(launch->signals);
}
