/* SPDX-License-Identifier: Apache-2.0 */
/* gzip by zlib, base64 here. See packer.h. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "report/packer.h"

#define LEVEL 4		 /* for zlib: twice as fast as the default, with output a tenth larger */
#define GZIP_WINDOW 31	 /* 15 bits, + 16 for a gzip header */
#define CHUNK (3u << 14) /* a multiple of 3, so that base64 needs no padding in between */
#define INPUT_MAX (1u << 30)

struct packer {
	FILE *out;
	z_stream stream;
	unsigned char packed[CHUNK];
	char text[CHUNK / 3 * 4];
};

struct packer *packer_start(FILE *out)
{
	struct packer *packer = calloc(1, sizeof(*packer));

	if (!packer)
		return NULL;
	packer->out = out;
	packer->stream.next_out = packer->packed;
	packer->stream.avail_out = CHUNK;
	if (deflateInit2(&packer->stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) ==
	    Z_OK)
		return packer;
	free(packer);
	return NULL;
}

static void put_base64(struct packer *packer)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t size = CHUNK - packer->stream.avail_out;
	unsigned char *in = packer->packed;
	char *to = packer->text;

	memset(in + size, 0, (3 - size % 3) % 3);
	for (size_t i = 0; i < size; i += 3) {
		unsigned bits = (unsigned)in[i] << 16 | (unsigned)in[i + 1] << 8 | in[i + 2];

		*to++ = digits[bits >> 18];
		*to++ = digits[bits >> 12 & 63];
		*to++ = i + 1 < size ? digits[bits >> 6 & 63] : '=';
		*to++ = i + 2 < size ? digits[bits & 63] : '=';
	}
	fwrite(packer->text, 1, (size_t)(to - packer->text), packer->out);
	packer->stream.next_out = packer->packed;
	packer->stream.avail_out = CHUNK;
}

/* Runs zlib until it has no more output. */
static int pump(struct packer *packer, int flush)
{
	int result;

	do {
		result = deflate(&packer->stream, flush);
		if (!packer->stream.avail_out || (flush == Z_FINISH && result == Z_STREAM_END))
			put_base64(packer);
	} while (packer->stream.avail_in || (flush == Z_FINISH && result == Z_OK));
	return result;
}

void packer_add(struct packer *packer, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	while (packer && size) {
		uInt part = size < INPUT_MAX ? (uInt)size : INPUT_MAX;

		packer->stream.next_in = (unsigned char *)at;
		packer->stream.avail_in = part;
		pump(packer, Z_NO_FLUSH);
		at += part;
		size -= part;
	}
}

int packer_end(struct packer *packer)
{
	int result;

	if (!packer)
		return -1;
	result = pump(packer, Z_FINISH);
	deflateEnd(&packer->stream);
	free(packer);
	return result == Z_STREAM_END ? 0 : -1;
}
