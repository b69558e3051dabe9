/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes in unexpected places: argv[1] says where. Ordinary ones come before and after it. */
#include "../common.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <dlfcn.h>
#include <stdint.h>

static void shake_hands(const char *where)
{
	struct pair pair = bio_pair(0);

	printf("%s %d\n", where, finish(&pair));
	fflush(stdout);
	pair_free(&pair);
}

static void await(pid_t child)
{
	int status;

	NEED(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void in_child(pid_t child)
{
	if (child == 0) {
		shake_hands("child");
		exit(0);
	}
	await(child);
}

/* ---- processes ------------------------------------------------------------------------ */

/* glibc 2.34 and later: a fork that calls no handlers. */
static void by_Fork(void)
{
	pid_t (*quiet_fork)(void) = (pid_t (*)(void))(uintptr_t)dlsym(RTLD_DEFAULT, "_Fork");

	in_child(quiet_fork ? quiet_fork() : fork());
}

static void by_raw_clone(void)
{
	in_child((pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static int in_our_memory(void *unused)
{
	(void)unused;
	shake_hands("child");
	_exit(0);
}

/* A process of its own in the same memory, while its parent waits. */
static void by_clone_vm(void)
{
	static char stack[1 << 20] __attribute__((aligned(64)));

	await(clone(in_our_memory, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
}

static void by_exec_chain(char **argv)
{
	char number[2] = {(char)(argv[2] ? argv[2][0] + 1 : '1'), '\0'};

	if (number[0] > '5')
		return;
	execl(argv[0], argv[0], argv[1], number, (char *)NULL);
	NEED(!"exec");
}

/* ---- threads -------------------------------------------------------------------------- */

static volatile pid_t blocked; /* once there is such a thread */

static char state_of(pid_t tid)
{
	char path[64], text[256], state = '\0';
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	stat = fopen(path, "r");
	NEED(stat && fgets(text, sizeof(text), stat));
	NEED(sscanf(strrchr(text, ')') + 1, " %c", &state) == 1);
	fclose(stat);
	return state;
}

/* Until it has sent its ClientHello, and waits for the answer. */
static void await_blocked(const struct pair *pair)
{
	struct pollfd sent = {.fd = pair->server_fd, .events = POLLIN};

	NEED(poll(&sent, 1, -1) == 1);
	while (state_of(blocked) != 'S')
		usleep(1000);
}

static void in_thread(void *(*function)(void *), void *argument, bool cancel)
{
	pthread_t thread;
	void *result;

	NEED(!pthread_create(&thread, NULL, function, argument));
	if (cancel) {
		await_blocked(argument);
		NEED(!pthread_cancel(thread));
	}
	NEED(!pthread_join(thread, &result));
	printf("thread %s\n", result == PTHREAD_CANCELED ? "canceled" : "left");
}

static void leave(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	if (where & SSL_CB_LOOP)
		pthread_exit(NULL);
}

static void *leaves(void *pair)
{
	SSL_set_info_callback(((struct pair *)pair)->client, leave);
	SSL_connect(((struct pair *)pair)->client);
	return NULL;
}

static void *blocks(void *pair)
{
	blocked = (pid_t)syscall(SYS_gettid);
	SSL_connect(((struct pair *)pair)->client);
	return NULL;
}

static void *blocks_asynchronously(void *pair)
{
	NEED(!pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	return blocks(pair);
}

/* The object is not freed: its state inside OpenSSL is unknown. */
static void exit_in_callback(void)
{
	static struct pair pair;

	pair = bio_pair(0);
	in_thread(leaves, &pair, false);
}

static void canceled(bool deferred)
{
	static struct pair pair;

	pair = tcp_pair(false);
	in_thread(deferred ? blocks : blocks_asynchronously, &pair, true);
}

/* ---- signals and the end -------------------------------------------------------------- */

static void on_signal(int number)
{
	(void)number;
	shake_hands("handler");
}

static void interrupt(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	if (where & SSL_CB_HANDSHAKE_START)
		raise(SIGUSR1);
}

/* In the middle of another handshake, on the same thread. */
static void in_signal_handler(void)
{
	struct pair pair = bio_pair(0);

	signal(SIGUSR1, on_signal);
	SSL_set_info_callback(pair.client, interrupt);
	printf("interrupted %d\n", finish(&pair));
	pair_free(&pair);
}

static void at_exit(void)
{
	shake_hands("exit");
}

static bool has_destructor;

/* OpenSSL has already cleaned up. */
__attribute__((destructor)) static void destructor(void)
{
	if (has_destructor) {
		printf("context %d\n", SSL_CTX_new(TLS_client_method()) != NULL);
		fflush(stdout);
	}
}

/* ---------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	const char *where = argc > 1 ? argv[1] : "";

	shake_hands("before");
	if (!strcmp(where, "_Fork"))
		by_Fork();
	else if (!strcmp(where, "clone"))
		by_raw_clone();
	else if (!strcmp(where, "clone_vm"))
		by_clone_vm();
	else if (!strcmp(where, "exec_chain"))
		by_exec_chain(argv);
	else if (!strcmp(where, "exit_in_callback"))
		exit_in_callback();
	else if (!strcmp(where, "cancel_deferred") || !strcmp(where, "cancel_asynchronous"))
		canceled(where[7] == 'd');
	else if (!strcmp(where, "signal_handler"))
		in_signal_handler();
	else if (!strcmp(where, "atexit"))
		NEED(!atexit(at_exit));
	has_destructor = !strcmp(where, "destructor");
	shake_hands("after");
	return 0;
}
