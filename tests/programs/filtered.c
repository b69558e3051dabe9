/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes under a seccomp filter that kills the program for every system call that it does
 * not make itself. argv[1]: "late": the filter is set when the contexts exist; "early": a
 * filter that allows everything comes first, and the program starts again; "thread": like
 * late, with the handshake in a thread; "slow": like late, with pauses between the calls, and
 * another handshake that is never finished; "before": the filter is set before the first context;
 * "objects": before the first object.
 */
#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/rand.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_rseq
#define SYS_rseq SYS_clone3 /* before glibc 2.35, threads do not use it */
#endif

#define FOR_ITSELF 11
static const int allowed[] = {
	SYS_read, SYS_write, SYS_close, SYS_brk, SYS_munmap, SYS_futex, SYS_getpid,
	SYS_getrandom, SYS_mprotect, SYS_exit, SYS_exit_group,
	/* to start and end a thread */
	SYS_mmap, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_clone, SYS_clone3, SYS_set_robust_list, SYS_rseq,
	SYS_madvise,
};
#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

static void install(struct sock_filter *code, size_t size)
{
	struct sock_fprog program = {.len = (unsigned short)size, .filter = code};

	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

/* `fewer`: also forbids what only threads need. */
static void kill_for_others(bool fewer)
{
	struct sock_filter code[2 + 2 * ALLOWED], *at = code;
	size_t count = fewer ? FOR_ITSELF : ALLOWED;

	*at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < count; i++) {
		*at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
		*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	install(code, (size_t)(at - code));
}

static void begin_anew(char **argv)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

	install(code, 1);
	execl("/proc/self/exe", argv[0], "filtered", NULL);
	NEED(false);
}

static void *shake_hands(void *context)
{
	return finish(context) ? context : NULL;
}

/* No system call: the clock is in the vdso. */
static void pass_time(void)
{
	struct timespec begun, now;

	clock_gettime(CLOCK_MONOTONIC, &begun);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 < 5);
}

static void *shake_hands_slowly(struct pair *pair)
{
	struct pair left = bio_pair(0);
	bool good = true;

	step(left.client);
	step(left.server);
	pass_time();
	step(left.client);
	pass_time();
	pair_free(&left);
	for (int i = 0; good && i < 8; i++) {
		int client = step(pair->client), server = step(pair->server);

		pass_time();
		good = client <= SSL_ERROR_WANT_READ && server <= SSL_ERROR_WANT_READ;
	}
	return good && SSL_is_init_finished(pair->client) ? pair : NULL;
}

/* Reads what OpenSSL and libc read once. */
static void use_all_but_a_context(void)
{
	X509 *certificate;
	EVP_PKEY *key;

	NEED(OPENSSL_init_ssl(0, NULL) && RAND_status());
	make_certificate("warm", &certificate, &key);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static struct pair contexts(void)
{
	return (struct pair){
		.client_ctx = client_context(TLS_client_method()),
		.server_ctx = server_context(TLS_server_method()),
		.client_fd = -1,
		.server_fd = -1,
	};
}

static void make_objects(struct pair *pair)
{
	BIO *client, *server;

	NEED(pair->client = SSL_new(pair->client_ctx));
	NEED(pair->server = SSL_new(pair->server_ctx));
	NEED(BIO_new_bio_pair(&client, 0, &server, 0) == 1);
	SSL_set_bio(pair->client, client, client);
	SSL_set_bio(pair->server, server, server);
	set_role(pair);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "late";
	struct pair pair;
	pthread_t thread;
	void *good;

	if (!strcmp(way, "early"))
		begin_anew(argv);
	if (!strcmp(way, "before"))
		use_all_but_a_context();
	else if (!strcmp(way, "objects"))
		pair = contexts();
	else
		pair = tcp_pair(true);
	if (!strcmp(way, "slow")) {
		NEED(shake_hands_slowly(&pair));
		pair_free(&pair);
		pair = tcp_pair(true);
	}
	setvbuf(stdout, NULL, _IOLBF, 1000);
	puts(way);
	if (strcmp(way, "filtered"))
		kill_for_others(strcmp(way, "thread") != 0);
	if (!strcmp(way, "before"))
		pair = bio_pair(0);
	if (!strcmp(way, "objects"))
		make_objects(&pair);
	if (!strcmp(way, "thread")) {
		NEED(pthread_create(&thread, NULL, shake_hands, &pair) == 0);
		NEED(pthread_join(thread, &good) == 0);
	} else {
		good = strcmp(way, "slow") ? shake_hands(&pair) : shake_hands_slowly(&pair);
	}
	printf("handshake %d\n", good != NULL);
	pair_free(&pair);
	return 0;
}
