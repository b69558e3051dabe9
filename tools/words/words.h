/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of OpenSSL, TLS and the kernel in their own words. Unknown ones: "#N" in the buffer. */
#ifndef TOOLS_WORDS_WORDS_H
#define TOOLS_WORDS_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "tlstall/trace.h"

#define WORD_SIZE 64

const char *word_error(uint8_t ssl_error);		/* "SSL_ERROR_WANT_READ" */
const char *word_error_short(uint8_t ssl_error);	/* "WANT_READ" */
const char *word_outcome(uint8_t outcome);		/* "ok", "failed", "abandoned", "in_flight" */
const char *word_role(uint8_t role);			/* "client", "server", "" */
const char *word_bio_class(uint8_t bio_class);		/* "socket", "memory" ... */
const char *word_version(uint16_t version, char buffer[WORD_SIZE]); /* "TLSv1.3", "DTLSv1.2" ...; "" for 0 */
const char *word_alert(uint8_t description, char buffer[WORD_SIZE]); /* "certificate expired" */
const char *word_alert_level(uint8_t level);		/* "fatal", "warning" */
const char *word_verify(int32_t result, char buffer[WORD_SIZE]); /* X509_V_*: "certificate has expired" */
/* "2048-01-31T23:59:59Z" of the trace's decimal YYYYMMDDhhmmss; "" for 0 */
const char *word_date(uint64_t date, char buffer[WORD_SIZE]);
const char *word_key(uint16_t nid,
		     char buffer[WORD_SIZE]); /* a kind of key, by OpenSSL's NID: "RSA" */
const char *word_s(uint64_t count); /* "1 handshake", "2 handshakes": "" or "s" */
/* "127.0.0.1:8443", "[::1]:8443", "unix"; "" when not known. */
const char *word_address(const struct tlstall_address *address, char buffer[WORD_SIZE]);
/* For people: "412 us", "1.25 s", "3 min 20 s"; "517 B", "24.3 kB". */
const char *word_duration(uint64_t ns, char buffer[WORD_SIZE]);
const char *word_size(uint64_t bytes, char buffer[WORD_SIZE]);

#endif
