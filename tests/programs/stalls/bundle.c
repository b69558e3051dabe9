/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the given number of CA certificates to a file; does not stall itself. */
#include "stall.h"

#include <openssl/pem.h>

int main(int argc, char **argv)
{
	FILE *file = fopen(argv[2], "w");
	char name[32];
	EVP_PKEY *key;
	X509 *x;

	NEED(argc == 3 && file);
	make_certificate("authority", &x, &key);
	for (int i = 0; i < atoi(argv[1]); i++) {
		X509_NAME *subject = X509_NAME_new();

		snprintf(name, sizeof(name), "authority %d", i);
		NEED(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
						(const unsigned char *)name, -1, -1, 0) == 1);
		NEED(X509_set_subject_name(x, subject) == 1);
		NEED(X509_set_issuer_name(x, subject) == 1);
		NEED(X509_sign(x, key, EVP_sha256()) > 0);
		NEED(PEM_write_X509(file, x) == 1);
		X509_NAME_free(subject);
	}
	return fclose(file);
}
