/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in_the_way step|write: a thread is where attach has to wait for it, until a line comes on standard
 * input. "step": a signal's handler waits, and has interrupted the second instruction of
 * SSL_do_handshake. "write": it writes to a pipe that is full, and says how much that took.
 */
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define TRAP_FLAG 0x100
#define MUCH (1 << 20)

static int release[2];
static char much[MUCH];

/* Comes after each instruction. */
static void on_step(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *regs = u->uc_mcontext.gregs;
	greg_t entry = (greg_t)SSL_do_handshake;
	char byte;

	(void)number, (void)info;
	if (regs[REG_RIP] <= entry || regs[REG_RIP] >= entry + 5)
		return;
	regs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	write(1, "there\n", 6);
	read(release[0], &byte, 1);
}

static void *step(void *ctx)
{
	struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
	SSL *ssl = SSL_new(ctx);
	int result;

	sigaction(SIGTRAP, &action, NULL);
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "cc", "memory");
	result = SSL_do_handshake(ssl);
	printf("%d\n", result);
	return NULL;
}

static void *fill(void *unused)
{
	printf("there\n");
	printf("%zd\n", write(release[1], much, sizeof(much)));
	return unused;
}

static void drain(void)
{
	size_t left = sizeof(much);
	ssize_t got;

	while (left && (got = read(release[0], much, left)) > 0)
		left -= (size_t)got;
}

int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	pthread_t thread;
	int writes = argc > 1 && !strcmp(argv[1], "write");
	char byte;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!ctx || pipe(release) || pthread_create(&thread, NULL, writes ? fill : step, ctx))
		return 1;
	read(0, &byte, 1);
	if (writes)
		drain();
	else
		write(release[1], "x", 1);
	pthread_join(thread, NULL);
	while (read(0, &byte, 1) == 1)
		continue;
	return 0;
}
