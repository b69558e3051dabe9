/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints everything that a program can see of itself and of its process: before its first
 * handshake, after one, after two hundred, in a child, and at exit.
 */
#include <dlfcn.h>
#include <fenv.h>
#include <locale.h>
#include <malloc.h>
#include <netdb.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio_ext.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

extern char **environ;

static FILE *half_read;
static int messages, infos, ex_new, ex_free, ex_index;

static void on_signal(int number)
{
	(void)number;
}

static void on_message(int sent, int version, int type, const void *bytes, size_t size, SSL *ssl, void *arg)
{
	(void)sent, (void)version, (void)type, (void)bytes, (void)size, (void)ssl, (void)arg;
	messages++;
}

static void on_info(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)where, (void)ret;
	infos++;
}

static void count_new(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent, (void)ptr, (void)ad, (void)index, (void)argl, (void)argp;
	ex_new++;
}

static void count_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	ex_free += ptr != NULL;
}

/* ---- what is observed -------------------------------------------------------------- */

static void signals(void)
{
	sigset_t blocked, pending;
	stack_t alternate;

	NEED(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && sigpending(&pending) == 0);
	for (int i = 1; i < NSIG; i++) {
		struct sigaction action;

		if (sigaction(i, NULL, &action))
			continue;
		if (sigismember(&blocked, i) || sigismember(&pending, i) || action.sa_handler || action.sa_flags)
			printf(" signal %d:%s%s %s flags %x", i, sigismember(&blocked, i) ? " blocked" : "",
			       sigismember(&pending, i) ? " pending" : "",
			       action.sa_handler == on_signal ? "ours" :
			       action.sa_handler == SIG_IGN   ? "ignored" :
			       action.sa_handler	      ? "a stranger's" :
								"default",
			       (unsigned)action.sa_flags);
	}
	NEED(sigaltstack(NULL, &alternate) == 0);
	printf(" alternate %zu/%x\n", alternate.ss_size, (unsigned)alternate.ss_flags);
}

static void surroundings(void)
{
	unsigned hash = 5381;

	for (char **variable = environ; *variable; variable++) {
		if (!strncmp(*variable, "LD_PRELOAD=", 11) || !strncmp(*variable, "TLSTALL_", 8))
			continue;
		for (const char *c = *variable; *c; c++)
			hash = hash * 33 + (unsigned char)*c;
	}
	printf(" environment %x locale %s %s %s\n", hash, setlocale(LC_ALL, NULL), localeconv()->decimal_point,
	       uselocale((locale_t)0) == LC_GLOBAL_LOCALE ? "global" : "its own");
}

static void streams(size_t waiting)
{
	printf(" stdout held back what was written: %s, position %ld of a file half read\n",
	       waiting ? "yes" : "no", ftell(half_read));
}

static int threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	NEED(tasks);
	while (readdir(tasks))
		count++;
	closedir(tasks);
	return count - 2;
}

static void process(void)
{
	char name[17] = "", directory[256];
	mode_t mask = umask(0);
	struct itimerval timer;
	cpu_set_t cpus;

	umask(mask);
	NEED(prctl(PR_GET_NAME, name) == 0 && getcwd(directory, sizeof(directory)));
	NEED(getitimer(ITIMER_REAL, &timer) == 0 && sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	printf(" threads %d name %s dumpable %d new privileges %d filter %d umask %o in %s nice %d\n", threads(),
	       name, prctl(PR_GET_DUMPABLE), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_SECCOMP),
	       (unsigned)mask, directory, getpriority(PRIO_PROCESS, 0));
	printf(" timer %s cpus %d rounding %d floating point exceptions %x\n", timer.it_value.tv_sec ? "runs" : "none",
	       CPU_COUNT(&cpus), fegetround(), (unsigned)fetestexcept(FE_ALL_EXCEPT));
	for (int i = 0; i < (int)RLIMIT_NLIMITS; i++) {
		struct rlimit limit;

		NEED(getrlimit((__rlimit_resource_t)i, &limit) == 0);
		printf(" %llx/%llx", (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
	}
	printf("\n");
}

/* State that libc keeps between two calls. */
static void library(int number, const char *error)
{
	printf(" errno %d, of names %d, loader's error: %s, random %d, time zone %s\n", number, h_errno,
	       error ? "still told" : "gone", rand() % 1000, tzname[0]);
	printf(" error queue %s\n", ERR_peek_error() ? ERR_reason_error_string(ERR_peek_error()) : "empty");
}

static void show(const char *when)
{
	int number = errno;
	const char *error = dlerror();
	size_t waiting = __fpending(stdout);

	printf("%s\n", when);
	library(number, error);
	signals();
	surroundings();
	streams(waiting);
	process();
	print_descriptors();
	printf(" told of messages %d, of states %d; ex_data made %d, freed %d\n", messages, infos, ex_new, ex_free);
	/* for the next observation */
	NEED(!dlsym(RTLD_DEFAULT, "no_such_function"));
	errno = EDOM;
	h_errno = NO_DATA;
}

/* ---- what is done in between -------------------------------------------------------- */

static void one(SSL_CTX *client, SSL_CTX *server, int *value)
{
	struct pair pair = {.client = SSL_new(client), .server = SSL_new(server), .client_fd = -1, .server_fd = -1};
	BIO *a, *b;

	NEED(pair.client && pair.server && BIO_new_bio_pair(&a, 0, &b, 0));
	SSL_set_bio(pair.client, a, a);
	SSL_set_bio(pair.server, b, b);
	set_role(&pair);
	NEED(SSL_set_ex_data(pair.client, ex_index, value));
	NEED(finish(&pair));
	NEED(SSL_get_ex_data(pair.client, ex_index) == value);
	SSL_free(pair.client);
	SSL_free(pair.server);
}

static long anonymous_kilobytes(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long size = 0;

	NEED(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "RssAnon: %ld", &size);
	fclose(status);
	return size;
}

/* In bytes, in the main heap only. */
static size_t allocated(void)
{
#if __GLIBC_PREREQ(2, 33)
	return mallinfo2().uordblks;
#else
	return (unsigned)mallinfo().uordblks;
#endif
}

static void many(SSL_CTX *client, SSL_CTX *server, int *value)
{
	size_t used;
	long resident;

	for (int i = 0; i < 20; i++)
		one(client, server, value);
	used = allocated();
	resident = anonymous_kilobytes();
	for (int i = 0; i < 200; i++)
		one(client, server, value);
	printf("memory after 200 more: %s allocated, %s resident\n",
	       allocated() > used + 4096 ? "more" : "no more",
	       anonymous_kilobytes() > resident + 512 ? "more" : "no more");
}

static void prepare(void)
{
	static char stack[65536];
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
	sigset_t block;

	NEED(setlocale(LC_ALL, "C.UTF-8"));
	tzset();
	srand(7);
	NEED(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof(stack)}, NULL) == 0);
	NEED(sigaction(SIGBUS, &action, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
	NEED(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	NEED(pthread_sigmask(SIG_BLOCK, &block, NULL) == 0 && raise(SIGUSR1) == 0);
	half_read = tmpfile();
	NEED(half_read && fputs("one\ntwo\n", half_read) >= 0);
	rewind(half_read);
	NEED(fgetc(half_read) == 'o');
	NEED(!dlsym(RTLD_DEFAULT, "no_such_function"));
	errno = EDOM;
	h_errno = NO_DATA;
}

static void at_exit_first(void)
{
	show("the last handler");
}

static void at_exit_last(void)
{
	show("the first handler");
	OPENSSL_cleanup();
}

__attribute__((destructor)) static void end(void)
{
	printf("destructor\n");
}

static void child(SSL_CTX *client, SSL_CTX *server, int *value)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	NEED(pid >= 0);
	if (!pid) {
		one(client, server, value);
		show("a child");
		fflush(stdout);
		_exit(7);
	}
	NEED(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(void)
{
	SSL_CTX *client, *server;
	int value = 42;

	NEED(atexit(at_exit_first) == 0);
	prepare();
	show("at the start");
	client = client_context(TLS_client_method());
	server = server_context(TLS_server_method());
	SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_info_callback(client, on_info);
	SSL_CTX_set_msg_callback(client, on_message);
	ex_index = SSL_get_ex_new_index(0, NULL, count_new, NULL, count_free);
	NEED(SSL_CTX_get_info_callback(client) == on_info);
	NEED(atexit(at_exit_last) == 0);
	one(client, server, &value);
	show("after a handshake");
	many(client, server, &value);
	show("after many");
	child(client, server, &value);
	show("after a child");
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	return 0;
}
