/* SPDX-License-Identifier: Apache-2.0 */
/* TLS that is linked into the program or a library of its, or found by name at run time: by
 * strings. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"
#include "check/textscan.h"

/* Bytes that are read in all: some tens of milliseconds. */
#define PROGRAM_BYTES (192u << 20)
#define LIBRARIES_BYTES (32u << 20)

#define NAMES (TEXT_BIT(SSL_CONNECT) | TEXT_BIT(SSL_ACCEPT) | TEXT_BIT(SSL_DO_HANDSHAKE))

/* Libraries that hold no TLS but may hold its words. */
static bool is_uninteresting(const struct library *library)
{
	static const char *const starts[] = {
		"libc.so.",	"libm.so.",    "libpthread.so.", "libdl.so.",  "librt.so.",
		"ld-linux",	"libstdc++.",  "libgcc_s.",	 "libssl.so.", "libcrypto.so.",
		"libgnutls.so", "libz.so.",    "libicudata.",	 "libresolv.", "libssl3.so",
		"libnss3.so",	"libwolfssl.", "libmbedtls.so",
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (!strncmp(library_name(library), starts[i], strlen(starts[i])))
			return true;
	return false;
}

/* The TLS that these strings are of, NULL when it is none. More particular ones first. */
static const char *linked_tls(const struct textscan *scan)
{
	static const struct {
		uint32_t any;
		const char *tls;
	} marks[] = {
		{TEXT_BIT(BORINGSSL) | TEXT_BIT(BORINGSSL_NAME), "BoringSSL"},
		{TEXT_BIT(GO_TLS), "Go's crypto/tls"},
		{TEXT_BIT(RUSTLS) | TEXT_BIT(RUSTLS_SOURCE), "rustls"},
		{TEXT_BIT(WOLFSSL), "wolfSSL"},
		{TEXT_BIT(MBEDTLS) | TEXT_BIT(MBEDTLS_NAME) | TEXT_BIT(MBEDTLS_OLD), "mbedTLS"},
	};

	if (scan->found & TEXT_BIT(LIBRESSL) && scan->found & TEXT_BIT(LIBSSL_SOURCE_OLD))
		return "LibreSSL";
	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (scan->found & marks[i].any)
			return marks[i].tls;
	return NULL;
}

static bool is_openssl(const struct object *object, const struct textscan *scan)
{
	return object->exports & OBJECT_BIT(SSL_do_handshake) ||
	       scan->found & TEXT_BIT(LIBSSL_SOURCE);
}

static bool can_look_up(const struct closure *closure)
{
	for (size_t i = 0; i < closure->count; i++)
		if (closure->list[i].object.imports & (OBJECT_BIT(dlsym) | OBJECT_BIT(dlvsym)) &&
		    (!i || !is_uninteresting(&closure->list[i])))
			return true;
	return false;
}

static void name_libssl(struct inquiry *inquiry)
{
	static const char *const names[] = {"libssl.so.4", "libssl.so.3", "libssl.so.1.1"};

	for (size_t i = 0; i < 3 && !inquiry->result->libssl; i++)
		inquiry->result->libssl = closure_find(&inquiry->closure, names[i]);
}

/* What the strings of one file say. */
static bool judge(struct inquiry *inquiry, size_t index, const struct textscan *scan)
{
	struct check_result *result = inquiry->result;
	const struct library *library = &inquiry->closure.list[index];
	const char *tls = linked_tls(scan), *where = index ? library_name(library) : "it";
	char path[PATH_MAX];

	if (!tls && is_openssl(&library->object, scan)) {
		add_reason(result, CHECK_REASON_STATIC_OPENSSL, library->path,
			   "%s is linked statically into %s",
			   *scan->openssl ? scan->openssl : "OpenSSL", where);
		return true;
	}
	if (tls) {
		add_reason(result, CHECK_REASON_OTHER_TLS, library->path, "%s is linked into %s",
			   tls, where);
		return true;
	}
	if (!(scan->found & NAMES) || !can_look_up(&inquiry->closure))
		return false;
	/* Looking for libssl moves the list. */
	strncpy(path, library->path, sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	add_way(result, CHECK_WAY_DLSYM, path,
		"%s%slooks SSL_connect or its like up by name (dlsym)", index ? where : "",
		index ? ", which it needs, " : "");
	name_libssl(inquiry);
	return true;
}

static bool look_inside(struct inquiry *inquiry, size_t index, uint64_t *budget)
{
	const struct library *library = &inquiry->closure.list[index];
	struct textscan scan = {.bytes_left = *budget};
	bool exports = library->object.exports & OBJECT_BIT(SSL_do_handshake);
	int fd = index ? root_open(&inquiry->closure.root, library->path) : inquiry->fd;

	if (fd < 0)
		return false;
	/* Whoever exports OpenSSL need only say which. */
	scan.enough = TEXT_BIT(LIBSSL_SOURCE) | (exports ? TEXT_BIT(OPENSSL_VERSION) : 0);
	textscan_file(fd, &library->object, &scan);
	if (index)
		close(fd);
	*budget = scan.bytes_left;
	return judge(inquiry, index, &scan);
}

bool find_inside(struct inquiry *inquiry)
{
	uint64_t budget = PROGRAM_BYTES;
	size_t count = inquiry->closure.count;
	bool found = look_inside(inquiry, 0, &budget);

	if (!found && inquiry->closure.list[0].object.go) {
		add_reason(inquiry->result, CHECK_REASON_OTHER_TLS, inquiry->result->program,
			   "is a Go program: its TLS, if it has any, is Go's own crypto/tls");
		return true;
	}
	budget = LIBRARIES_BYTES;
	for (size_t i = 1; i < count && !found; i++)
		if (inquiry->closure.list[i].path && !inquiry->closure.list[i].same &&
		    !is_uninteresting(&inquiry->closure.list[i]))
			found = look_inside(inquiry, i, &budget);
	return found;
}
