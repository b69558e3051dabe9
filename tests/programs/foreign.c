/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes with servers of any name: foreign COMM NAME... For each, one fails, and another stays
 * unfinished until standard input ends.
 */
#include "common.h"

#include <sys/prctl.h>

int main(int argc, char **argv)
{
	NEED(argc > 2);
	prctl(PR_SET_NAME, argv[1]);
	for (int i = 2; i < argc; i++) {
		struct pair failing = tcp_pair(true), begun = tcp_pair(true);

		set_role(&failing);
		set_role(&begun);
		NEED(SSL_set_tlsext_host_name(failing.client, argv[i]) == 1);
		NEED(SSL_set_tlsext_host_name(begun.client, argv[i]) == 1);
		SSL_set_verify(failing.client, SSL_VERIFY_PEER, NULL);
		NEED(!finish(&failing));
		NEED(step(begun.client) == SSL_ERROR_WANT_READ);
	}
	puts("done");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
