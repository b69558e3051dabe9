/* SPDX-License-Identifier: Apache-2.0 */
/* Words for numbers. See words.h. */
#include "words/words.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

/* The table's entry at `index`, or NULL. The table may have holes. */
#define AT(table, index) ((size_t)(index) < COUNT(table) ? (table)[index] : NULL)

static const char *or_number(const char *word, long number, char buffer[WORD_SIZE])
{
	if (word)
		return word;
	snprintf(buffer, WORD_SIZE, "#%ld", number);
	return buffer;
}

const char *word_s(uint64_t count)
{
	return count == 1 ? "" : "s";
}

const char *word_error(uint8_t ssl_error)
{
	static const char *const words[] = {
		"SSL_ERROR_NONE",
		"SSL_ERROR_SSL",
		"SSL_ERROR_WANT_READ",
		"SSL_ERROR_WANT_WRITE",
		"SSL_ERROR_WANT_X509_LOOKUP",
		"SSL_ERROR_SYSCALL",
		"SSL_ERROR_ZERO_RETURN",
		"SSL_ERROR_WANT_CONNECT",
		"SSL_ERROR_WANT_ACCEPT",
		"SSL_ERROR_WANT_ASYNC",
		"SSL_ERROR_WANT_ASYNC_JOB",
		"SSL_ERROR_WANT_CLIENT_HELLO_CB",
		"SSL_ERROR_WANT_RETRY_VERIFY",
	};
	const char *word = AT(words, ssl_error);

	return word ? word : "SSL_ERROR_UNKNOWN";
}

const char *word_error_short(uint8_t ssl_error)
{
	return word_error(ssl_error) + strlen("SSL_ERROR_");
}

const char *word_outcome(uint8_t outcome)
{
	static const char *const words[] = {"in_flight", "ok", "failed", "abandoned"};
	const char *word = AT(words, outcome);

	return word ? word : "unknown";
}

const char *word_role(uint8_t role)
{
	static const char *const words[] = {"", "client", "server"};
	const char *word = AT(words, role);

	return word ? word : "";
}

const char *word_bio_class(uint8_t bio_class)
{
	static const char *const words[] = {
		[TLSTALL_BIO_NONE] = "none",	     [TLSTALL_BIO_SOCKET] = "socket",
		[TLSTALL_BIO_DATAGRAM] = "datagram", [TLSTALL_BIO_FD] = "fd",
		[TLSTALL_BIO_MEMORY] = "memory",     [TLSTALL_BIO_PAIR] = "pair",
		[TLSTALL_BIO_CUSTOM] = "custom",     [TLSTALL_BIO_OTHER] = "other",
	};
	const char *word = AT(words, bio_class);

	return word ? word : "unknown";
}

const char *word_version(uint16_t version, char buffer[WORD_SIZE])
{
	switch (version) {
	case 0:
		return "";
	case 0x0300:
		return "SSLv3";
	case 0x0301:
		return "TLSv1";
	case 0x0302:
		return "TLSv1.1";
	case 0x0303:
		return "TLSv1.2";
	case 0x0304:
		return "TLSv1.3";
	case 0x0100:
		return "DTLSv0.9";
	case 0xfeff:
		return "DTLSv1";
	case 0xfefd:
		return "DTLSv1.2";
	case 0xfefc:
		return "DTLSv1.3";
	case 1:
		return "QUICv1";
	default:
		return or_number(NULL, version, buffer);
	}
}

/* Names from the TLS alert registry, as OpenSSL spells them. */
const char *word_alert(uint8_t description, char buffer[WORD_SIZE])
{
	static const char *const words[] = {
		[0] = "close notify",
		[10] = "unexpected message",
		[20] = "bad record mac",
		[21] = "decryption failed",
		[22] = "record overflow",
		[30] = "decompression failure",
		[40] = "handshake failure",
		[41] = "no certificate",
		[42] = "bad certificate",
		[43] = "unsupported certificate",
		[44] = "certificate revoked",
		[45] = "certificate expired",
		[46] = "certificate unknown",
		[47] = "illegal parameter",
		[48] = "unknown CA",
		[49] = "access denied",
		[50] = "decode error",
		[51] = "decrypt error",
		[60] = "export restriction",
		[70] = "protocol version",
		[71] = "insufficient security",
		[80] = "internal error",
		[86] = "inappropriate fallback",
		[90] = "user canceled",
		[100] = "no renegotiation",
		[109] = "missing extension",
		[110] = "unsupported extension",
		[111] = "certificate unobtainable",
		[112] = "unrecognized name",
		[113] = "bad certificate status response",
		[114] = "bad certificate hash value",
		[115] = "unknown PSK identity",
		[116] = "certificate required",
		[120] = "no application protocol",
		[121] = "ECH required",
	};

	return or_number(AT(words, description), description, buffer);
}

const char *word_alert_level(uint8_t level)
{
	return level == 1 ? "warning" : level == 2 ? "fatal" : "unknown";
}

const char *word_key(uint16_t nid, char buffer[WORD_SIZE])
{
	static const struct {
		uint16_t nid;
		char name[12];
	} words[] = {
		{6, "RSA"},	     {912, "RSA-PSS"},	  {116, "DSA"},	 {408, "EC"},
		{1087, "Ed25519"},   {1088, "Ed448"},	  {1172, "SM2"}, {1457, "ML-DSA-44"},
		{1458, "ML-DSA-65"}, {1459, "ML-DSA-87"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].nid == nid)
			return words[i].name;
	}
	snprintf(buffer, WORD_SIZE, "#%u", nid);
	return buffer;
}

const char *word_date(uint64_t date, char buffer[WORD_SIZE])
{
	unsigned day = (unsigned)(date / 1000000 % 100000000), second = (unsigned)(date % 1000000);

	if (!date)
		return "";
	snprintf(buffer, WORD_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ", day / 10000, day / 100 % 100,
		 day % 100, second / 10000, second / 100 % 100, second % 100);
	return buffer;
}

/* X509_V_* values that occur in handshakes. */
const char *word_verify(int32_t result, char buffer[WORD_SIZE])
{
	static const char *const words[] = {
		[0] = "ok",
		[1] = "unspecified certificate verification error",
		[2] = "unable to get issuer certificate",
		[3] = "unable to get certificate CRL",
		[4] = "unable to decrypt certificate's signature",
		[6] = "unable to decode issuer public key",
		[7] = "certificate signature failure",
		[8] = "CRL signature failure",
		[9] = "certificate is not yet valid",
		[10] = "certificate has expired",
		[11] = "CRL is not yet valid",
		[12] = "CRL has expired",
		[17] = "out of memory",
		[18] = "self-signed certificate",
		[19] = "self-signed certificate in certificate chain",
		[20] = "unable to get local issuer certificate",
		[21] = "unable to verify the first certificate",
		[22] = "certificate chain too long",
		[23] = "certificate revoked",
		[24] = "invalid CA certificate",
		[25] = "path length constraint exceeded",
		[26] = "unsuitable certificate purpose",
		[27] = "certificate not trusted",
		[28] = "certificate rejected",
		[47] = "permitted subtree violation",
		[48] = "excluded subtree violation",
		[50] = "application verification failure",
		[62] = "hostname mismatch",
		[63] = "email address mismatch",
		[64] = "IP address mismatch",
		[65] = "no matching DANE TLSA records",
		[66] = "EE certificate key too weak",
		[67] = "CA certificate key too weak",
		[68] = "CA signature digest algorithm too weak",
		[69] = "invalid certificate verification context",
		[73] = "OCSP verification needed",
		[74] = "OCSP verification failed",
		[75] = "OCSP unknown cert",
		[79] = "invalid CA certificate",
	};

	return or_number(result < 0 ? NULL : AT(words, result), result, buffer);
}

const char *word_address(const struct tlstall_address *address, char buffer[WORD_SIZE])
{
	char text[INET6_ADDRSTRLEN] = "";

	switch (address->family) {
	case 0:
		return "";
	case AF_UNIX:
		return "unix";
	case AF_INET:
		inet_ntop(AF_INET, address->addr, text, sizeof(text));
		snprintf(buffer, WORD_SIZE, "%s:%u", text, address->port);
		return buffer;
	case AF_INET6:
		inet_ntop(AF_INET6, address->addr, text, sizeof(text));
		snprintf(buffer, WORD_SIZE, "[%s]:%u", text, address->port);
		return buffer;
	default:
		return or_number(NULL, address->family, buffer);
	}
}

/*
 * Three digits, without trailing zeros, are enough for a duration. From 0.9 s on in seconds, since
 * people set timeouts in seconds.
 */
static const char *figures(double value, const char *unit, char buffer[WORD_SIZE])
{
	snprintf(buffer, WORD_SIZE, "%.3g %s", value, unit);
	return buffer;
}

const char *word_duration(uint64_t ns, char buffer[WORD_SIZE])
{
	uint64_t s = ns / 1000000000 + (ns % 1000000000 >= 500000000);

	if (ns < 1000)
		return figures((double)ns, "ns", buffer);
	if (ns < 999500)
		return figures((double)ns / 1e3, "us", buffer);
	if (ns < 900000000)
		return figures((double)ns / 1e6, "ms", buffer);
	if (s < 100)
		return figures((double)ns / 1e9, "s", buffer);
	if (s < 3600)
		snprintf(buffer, WORD_SIZE, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else
		snprintf(buffer, WORD_SIZE, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	return buffer;
}

const char *word_size(uint64_t bytes, char buffer[WORD_SIZE])
{
	if (bytes < 10000)
		snprintf(buffer, WORD_SIZE, "%" PRIu64 " B", bytes);
	else if (bytes < 9999950) /* more would be rounded to 10000.0 kB */
		snprintf(buffer, WORD_SIZE, "%.1f kB", (double)bytes / 1e3);
	else
		snprintf(buffer, WORD_SIZE, "%.1f MB", (double)bytes / 1e6);
	return buffer;
}
