/* SPDX-License-Identifier: Apache-2.0 */
/* A signal interrupts the blocking SSL_connect; the program then waits without retrying. */
#include "stall.h"

#include <signal.h>
#include <sys/time.h>

static void on_alarm(int number)
{
	(void)number;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_alarm};
	/* again and again, because the first signal may come before the call waits */
	struct itimerval timer = {{.tv_usec = 200000}, {.tv_usec = 200000}}, none = {{0, 0}, {0, 0}};
	SSL *ssl = client_of(argv[argc - 1], false);
	int ret;

	NEED(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
	ret = SSL_connect(ssl);
	NEED(setitimer(ITIMER_REAL, &none, NULL) == 0);
	NEED(ret == -1 && SSL_get_error(ssl, ret) == SSL_ERROR_WANT_READ);
	hang();
}
