/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signal handler leaves a blocking call with siglongjmp(), and the
 * thread continues with another handshake.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "common.h"

static sigjmp_buf out;

static void on_alarm(int number)
{
	(void)number;
	siglongjmp(out, 1);
}

/* Begun inside the call, which lasts at least as long as the timer. */
static void begin_timer(int sent, int version, int type, const void *data, size_t size, SSL *ssl, void *timer)
{
	(void)version, (void)data, (void)size, (void)ssl;
	if (sent && type == SSL3_RT_HANDSHAKE)
		NEED(!setitimer(ITIMER_REAL, timer, NULL));
}

static void wait_for_nobody(struct pair *pair)
{
	struct itimerval soon = {.it_value = {.tv_usec = 200000}};

	signal(SIGALRM, on_alarm);
	SSL_set_msg_callback(pair->client, begin_timer);
	SSL_set_msg_callback_arg(pair->client, &soon);
	if (sigsetjmp(out, 1)) {
		printf("left\n");
		return;
	}
	SSL_connect(pair->client);
	printf("returned\n");
}

int main(void)
{
	struct pair silent = tcp_pair(false), other = bio_pair(0);

	setvbuf(stdout, NULL, _IOLBF, 0);
	set_role(&silent);
	set_role(&other);
	wait_for_nobody(&silent);
	printf("%d\n", finish(&other));
	pair_free(&other);
	/* not freed: the program ends with the object in this state */
	_exit(0);
}
