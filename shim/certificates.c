/* SPDX-License-Identifier: Apache-2.0 */
#include "certificates.h"

#include "mapping.h"

/* How many certificates of a chain are checked. */
#define MAX_CHAIN 16

/* ---- the peer's ------------------------------------------------------------- */

/* "480131235959Z", or with a four-digit year; 0 for anything else. */
static uint64_t packed_date(const struct libssl *lib, const ASN1_TIME *time)
{
	const unsigned char *text = time ? lib->ASN1_STRING_get0_data(time) : NULL;
	int length = text ? lib->ASN1_STRING_length(time) : 0, digits = 0;
	uint64_t date = 0;

	for (; digits < length && digits < 14 && text[digits] >= '0' && text[digits] <= '9';
	     digits++)
		date = date * 10 + text[digits] - '0';
	if (digits == 12)
		date += date < 500000000000 ? 20000000000000 : 19000000000000;
	return digits == 12 || digits == 14 ? date : 0;
}

static bool can_read_dates(const struct libssl *lib)
{
	return lib->SSL_get_peer_cert_chain && lib->OPENSSL_sk_num && lib->OPENSSL_sk_value &&
	       lib->X509_get0_notBefore && lib->X509_get0_notAfter && lib->ASN1_STRING_get0_data &&
	       lib->ASN1_STRING_length;
}

/* 3.0 and later keep the chain when its verification has failed. */
static void observe_dates(const struct libssl *lib, const SSL *ssl, struct tlstall_handshake *h)
{
	const OPENSSL_STACK *chain = (const OPENSSL_STACK *)lib->SSL_get_peer_cert_chain(ssl);
	int count = chain ? lib->OPENSSL_sk_num(chain) : 0;

	for (int i = 0; i < count && i < MAX_CHAIN; i++) {
		const X509 *certificate = lib->OPENSSL_sk_value(chain, i);
		uint64_t to = packed_date(lib, lib->X509_get0_notAfter(certificate)), from = 0;

		if (h->outcome != TLSTALL_OUTCOME_OK)
			from = packed_date(lib, lib->X509_get0_notBefore(certificate));
		if (from > h->not_before)
			h->not_before = from;
		if (to && (!h->not_after || to < h->not_after))
			h->not_after = to;
	}
}

/* A certificate that expires soon is noticed while all goes well. */
static bool needs_dates(const struct tlstall_handshake *h)
{
	return h->outcome == TLSTALL_OUTCOME_OK ||
	       (h->verify_result >= X509_V_ERR_CERT_NOT_YET_VALID &&
		h->verify_result <= X509_V_ERR_CRL_HAS_EXPIRED);
}

/* ---- the server's own --------------------------------------------------------- */

/* Handshakes of a server are examined from this duration on. */
#define LATE_MS 100

static bool was_late(const struct tlstall_handshake *h)
{
	const struct tlstall_socket *start = &h->at_start;

	if (h->outcome != TLSTALL_OUTCOME_OK ||
	    h->end - h->start > LATE_MS * mapping_ticks_per_ms(h->end))
		return true;
	return start->ticks && start->bytes_received && start->last_data_recv_ms >= LATE_MS;
}

/* The key of the chosen certificate, from memory: OpenSSL decoded it when it was loaded. */
static const EVP_PKEY *key_of(const struct libssl *lib, const SSL *ssl)
{
	const X509 *certificate;

	if (!lib->SSL_get_certificate || !lib->X509_get0_pubkey)
		return NULL;
	certificate = lib->SSL_get_certificate(ssl);
	return certificate ? lib->X509_get0_pubkey(certificate) : NULL;
}

static void observe_key(const struct libssl *lib, const SSL *ssl, struct tlstall_handshake *h)
{
	int (*const id)(const EVP_PKEY *) =
		lib->EVP_PKEY_get_base_id ? lib->EVP_PKEY_get_base_id : lib->EVP_PKEY_base_id;
	int (*const bits)(const EVP_PKEY *) =
		lib->EVP_PKEY_get_bits ? lib->EVP_PKEY_get_bits : lib->EVP_PKEY_bits;
	const EVP_PKEY *key = key_of(lib, ssl);
	int type = 0;

	/* 3.0 and later have no number for some keys, but for the signature */
	if (key && id)
		type = id(key);
	if (type <= 0 && lib->SSL_get_signature_type_nid)
		lib->SSL_get_signature_type_nid(ssl, &type);
	if (type > 0 && type <= UINT16_MAX)
		h->key_type = (uint16_t)type;
	if (h->key_type && key && bits)
		h->key_bits = (uint16_t)bits(key);
}

void certificates_observe(const struct libssl *lib, const SSL *ssl, struct tlstall_handshake *h)
{
	if (h->role == TLSTALL_ROLE_SERVER && was_late(h))
		observe_key(lib, ssl, h);
	if (needs_dates(h) && can_read_dates(lib))
		observe_dates(lib, ssl, h);
}
