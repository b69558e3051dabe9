/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that identify a TLS library. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/object.h"
#include "check/textscan.h"
#include "unit/scratch.h"

static uint32_t found_in(const char *text, size_t size, char version[48])
{
	struct textscan scan = {.bytes_left = size};

	textscan_bytes(text, size, &scan);
	if (version)
		strcpy(version, scan.openssl);
	return scan.found;
}

#define FOUND(text) found_in(text, sizeof(text), NULL)

static void test_strings(void **state)
{
	char version[48];
	(void)state;

	assert_int_equal(FOUND("nothing of the kind in here"), 0);
	assert_int_equal(FOUND("\0SSL_connect"), TEXT_BIT(SSL_CONNECT));
	assert_int_equal(FOUND("SSL_connect failed"), 0);
	assert_int_equal(FOUND("wolfSSL_connect"), 0);
	assert_int_equal(FOUND("../ssl/statem/statem.c"), TEXT_BIT(LIBSSL_SOURCE));
	assert_int_equal(FOUND("x\0crypto/tls.(*Conn).Read"), TEXT_BIT(GO_TLS));
	assert_int_equal(FOUND("OpenSSL is great"), 0);
	assert_int_equal(FOUND("OpenSSL 3.0"), 0);
	found_in("OpenSSL 3.0.15+quic 3 Sep 2024", 31, version);
	assert_string_equal(version, "OpenSSL 3.0.15+quic 3 Sep 2024");
}

/* At any position, also across the ends of the blocks that are read. */
static void test_strings_in_a_file(void **state)
{
	struct object object = {.constant_count = 1, .constants[0] = {0, 600 << 10}};
	char *text = calloc(1, 600 << 10);
	static const size_t middles[] = {20, 256 << 10, (256 << 10) + 64, 512 << 10,
					 (600 << 10) - 40};

	for (size_t m = 0; m < sizeof(middles) / sizeof(*middles); m++) {
		for (size_t at = middles[m] - 20; at < middles[m] + 20; at++) {
			struct textscan scan = {.bytes_left = 1 << 20};
			int fd;

			memset(text, 0, 600 << 10);
			strcpy(text + at, "SSL_accept");
			fd = open(scratch_save(*state, "text", text, 600 << 10), O_RDONLY);
			textscan_file(fd, &object, &scan);
			close(fd);
			assert_int_equal(scan.found, TEXT_BIT(SSL_ACCEPT));
		}
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		scratch_unit_test(test_strings_in_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
