/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OSSL_HANDSHAKE_STATE and SSL_state_string_long(), for programs that were linked without
 * the function: X(name, number, number since OpenSSL 3.2, text). A libssl that has
 * SSL_get0_connection() is 3.2 or later.
 */
#ifndef TLSTALL_STATE_NAMES_H
#define TLSTALL_STATE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define TLSTALL_STATE_NAMES(X) \
	X(TLS_ST_BEFORE, 0, 0, "before SSL initialization") \
	X(TLS_ST_OK, 1, 1, "SSL negotiation finished successfully") \
	X(DTLS_ST_CR_HELLO_VERIFY_REQUEST, 2, 2, "DTLS1 read hello verify request") \
	X(TLS_ST_CR_SRVR_HELLO, 3, 3, "SSLv3/TLS read server hello") \
	X(TLS_ST_CR_CERT, 4, 4, "SSLv3/TLS read server certificate") \
	X(TLS_ST_CR_CERT_STATUS, 5, 6, "SSLv3/TLS read certificate status") \
	X(TLS_ST_CR_KEY_EXCH, 6, 7, "SSLv3/TLS read server key exchange") \
	X(TLS_ST_CR_CERT_REQ, 7, 8, "SSLv3/TLS read server certificate request") \
	X(TLS_ST_CR_SRVR_DONE, 8, 9, "SSLv3/TLS read server done") \
	X(TLS_ST_CR_SESSION_TICKET, 9, 10, "SSLv3/TLS read server session ticket") \
	X(TLS_ST_CR_CHANGE, 10, 11, "SSLv3/TLS read change cipher spec") \
	X(TLS_ST_CR_FINISHED, 11, 12, "SSLv3/TLS read finished") \
	X(TLS_ST_CW_CLNT_HELLO, 12, 13, "SSLv3/TLS write client hello") \
	X(TLS_ST_CW_CERT, 13, 14, "SSLv3/TLS write client certificate") \
	X(TLS_ST_CW_KEY_EXCH, 14, 16, "SSLv3/TLS write client key exchange") \
	X(TLS_ST_CW_CERT_VRFY, 15, 17, "SSLv3/TLS write certificate verify") \
	X(TLS_ST_CW_CHANGE, 16, 18, "SSLv3/TLS write change cipher spec") \
	X(TLS_ST_CW_NEXT_PROTO, 17, 19, "SSLv3/TLS write next proto") \
	X(TLS_ST_CW_FINISHED, 18, 20, "SSLv3/TLS write finished") \
	X(TLS_ST_SW_HELLO_REQ, 19, 21, "SSLv3/TLS write hello request") \
	X(TLS_ST_SR_CLNT_HELLO, 20, 22, "SSLv3/TLS read client hello") \
	X(DTLS_ST_SW_HELLO_VERIFY_REQUEST, 21, 23, "DTLS1 write hello verify request") \
	X(TLS_ST_SW_SRVR_HELLO, 22, 24, "SSLv3/TLS write server hello") \
	X(TLS_ST_SW_CERT, 23, 25, "SSLv3/TLS write certificate") \
	X(TLS_ST_SW_KEY_EXCH, 24, 27, "SSLv3/TLS write key exchange") \
	X(TLS_ST_SW_CERT_REQ, 25, 28, "SSLv3/TLS write certificate request") \
	X(TLS_ST_SW_SRVR_DONE, 26, 29, "SSLv3/TLS write server done") \
	X(TLS_ST_SR_CERT, 27, 30, "SSLv3/TLS read client certificate") \
	X(TLS_ST_SR_KEY_EXCH, 28, 32, "SSLv3/TLS read client key exchange") \
	X(TLS_ST_SR_CERT_VRFY, 29, 33, "SSLv3/TLS read certificate verify") \
	X(TLS_ST_SR_NEXT_PROTO, 30, 34, "SSLv3/TLS read next proto") \
	X(TLS_ST_SR_CHANGE, 31, 35, "SSLv3/TLS read change cipher spec") \
	X(TLS_ST_SR_FINISHED, 32, 36, "SSLv3/TLS read finished") \
	X(TLS_ST_SW_SESSION_TICKET, 33, 37, "SSLv3/TLS write session ticket") \
	X(TLS_ST_SW_CERT_STATUS, 34, 38, "SSLv3/TLS write certificate status") \
	X(TLS_ST_SW_CHANGE, 35, 39, "SSLv3/TLS write change cipher spec") \
	X(TLS_ST_SW_FINISHED, 36, 40, "SSLv3/TLS write finished") \
	X(TLS_ST_SW_ENCRYPTED_EXTENSIONS, 37, 41, "TLSv1.3 write encrypted extensions") \
	X(TLS_ST_CR_ENCRYPTED_EXTENSIONS, 38, 42, "TLSv1.3 read encrypted extensions") \
	X(TLS_ST_CR_CERT_VRFY, 39, 43, "TLSv1.3 read server certificate verify") \
	X(TLS_ST_SW_CERT_VRFY, 40, 44, "TLSv1.3 write server certificate verify") \
	X(TLS_ST_CR_HELLO_REQ, 41, 45, "SSLv3/TLS read hello request") \
	X(TLS_ST_SW_KEY_UPDATE, 42, 46, "TLSv1.3 write server key update") \
	X(TLS_ST_CW_KEY_UPDATE, 43, 47, "TLSv1.3 write client key update") \
	X(TLS_ST_SR_KEY_UPDATE, 44, 48, "TLSv1.3 read client key update") \
	X(TLS_ST_CR_KEY_UPDATE, 45, 49, "TLSv1.3 read server key update") \
	X(TLS_ST_EARLY_DATA, 46, 50, "TLSv1.3 early data") \
	X(TLS_ST_PENDING_EARLY_DATA_END, 47, 51, "TLSv1.3 pending early data end") \
	X(TLS_ST_CW_END_OF_EARLY_DATA, 48, 52, "TLSv1.3 write end of early data") \
	X(TLS_ST_SR_END_OF_EARLY_DATA, 49, 53, "TLSv1.3 read end of early data")

/* NULL: there is no such state. `is_newer`: OpenSSL 3.2 or later. */
static inline const char *tlstall_state_name(bool is_newer, int number)
{
#define TLSTALL_STATE(name, older, newer, text)                                                    \
	if (number == (is_newer ? (newer) : (older)))                                              \
		return text;
	TLSTALL_STATE_NAMES(TLSTALL_STATE)
#undef TLSTALL_STATE
	return NULL;
}

#endif
