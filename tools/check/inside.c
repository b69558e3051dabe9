/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS that is linked into the program or one of its libraries, or that it looks up by name at run
 * time: found by strings.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"
#include "check/textscan.h"
#include "tlstall/inside.h"

/* Bytes read in all, which takes some tens of milliseconds. */
#define PROGRAM_BYTES (192u << 20)
#define LIBRARIES_BYTES (32u << 20)

#define NAMES (TEXT_BIT(SSL_CONNECT) | TEXT_BIT(SSL_ACCEPT) | TEXT_BIT(SSL_DO_HANDSHAKE))

/* Libraries without TLS that may contain its strings. */
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

/* The TLS library that these strings belong to, NULL if none. More specific ones come first. */
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

/* ---- OpenSSL itself ---------------------------------------------------------------- */

#define SHIM_NEEDS (OBJECT_BIT(SSL_connect) | OBJECT_BIT(SSL_stateless) | OBJECT_BIT(CRYPTO_get_ex_new_index))

/* The functions that the shim will find by the rules of tlstall/inside.h. */
static uint32_t reached(struct inquiry *inquiry, const struct object *object, int fd)
{
	uint32_t found;

	if (object->code < TLSTALL_INSIDE_CODE)
		return 0;
	if ((object->exports & SHIM_NEEDS) == SHIM_NEEDS)
		return object->exports;
	if (!(object->imports & OBJECT_BIT(secure_getenv)) || object->imports & OBJECT_LIBSSL_BITS)
		return 0;
	inquiry->result->starved |= object_names(fd, &found) < 0;
	return found;
}

static const char *why_not(const struct inquiry *inquiry, uint32_t functions)
{
	if (!(functions & OBJECT_BIT(SSL_connect)))
		return "it is stripped, so OpenSSL's functions cannot be found";
	if ((functions & SHIM_NEEDS) != SHIM_NEEDS)
		return "the linker left out functions that are needed to trace handshakes";
	return inquiry->shim_object.machine != EM_X86_64
		       ? "the shim cannot reach it on this architecture"
		       : NULL;
}

static void judge_openssl(struct inquiry *inquiry, const struct library *library, const char *where,
			  const char *version, int fd)
{
	uint32_t functions = reached(inquiry, &library->object, fd);
	const char *no = why_not(inquiry, functions);

	if (!*version)
		version = "OpenSSL";
	if (no)
		add_reason(inquiry->result, CHECK_REASON_STATIC_OPENSSL, library->path,
			   "%s is linked statically into %s: %s", version, where, no);
	else
		add_way(inquiry->result, CHECK_WAY_INSIDE, library->path,
			"%s is inside %s, which names its functions", version, where);
}

/* ---- what the strings of one file say ------------------------------------------------ */

static void judge_lookup(struct inquiry *inquiry, size_t index, const char *where)
{
	const struct library *library = &inquiry->closure.list[index];
	char path[PATH_MAX];

	/* looking for libssl moves the list */
	strncpy(path, library->path, sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	add_way(inquiry->result, CHECK_WAY_DLSYM, path,
		"%s%slooks up SSL_connect or similar by name (dlsym)", index ? where : "",
		index ? ", which it needs, " : "");
	name_libssl(inquiry);
}

static bool judge(struct inquiry *inquiry, size_t index, const struct textscan *scan, int fd)
{
	const struct library *library = &inquiry->closure.list[index];
	const char *tls = linked_tls(scan), *where = index ? library_name(library) : "it";

	/* node.js contains OpenSSL and the string "BoringSSL" */
	if ((!tls || library->object.exports & OBJECT_BIT(SSL_stateless)) &&
	    is_openssl(&library->object, scan)) {
		judge_openssl(inquiry, library, where, scan->openssl, fd);
		return true;
	}
	if (tls) {
		add_reason(inquiry->result, CHECK_REASON_OTHER_TLS, library->path,
			   "%s is linked into %s", tls, where);
		return true;
	}
	if (!(scan->found & NAMES) || !can_look_up(&inquiry->closure))
		return false;
	judge_lookup(inquiry, index, where);
	return true;
}

static bool look_inside(struct inquiry *inquiry, size_t index, uint64_t *budget)
{
	const struct library *library = &inquiry->closure.list[index];
	struct textscan scan = {.bytes_left = *budget};
	bool exports = library->object.exports & OBJECT_BIT(SSL_do_handshake);
	int fd = index ? root_open(&inquiry->closure.root, library->path) : inquiry->fd;
	bool found;

	if (fd < 0)
		return false;
	/* a file that exports OpenSSL need only tell its version */
	scan.enough = TEXT_BIT(LIBSSL_SOURCE) | (exports ? TEXT_BIT(OPENSSL_VERSION) : 0);
	inquiry->result->starved |= textscan_file(fd, &library->object, &scan) < 0;
	*budget = scan.bytes_left;
	found = judge(inquiry, index, &scan, fd);
	if (index)
		close(fd);
	return found;
}

bool find_inside(struct inquiry *inquiry)
{
	uint64_t budget = PROGRAM_BYTES;
	size_t count = inquiry->closure.count;
	bool found = look_inside(inquiry, 0, &budget);

	if (!found && inquiry->closure.list[0].object.go) {
		add_reason(inquiry->result, CHECK_REASON_OTHER_TLS, inquiry->result->program,
			   "is a Go program: its TLS, if any, is Go's own crypto/tls");
		return true;
	}
	budget = LIBRARIES_BYTES;
	for (size_t i = 1; i < count && !found; i++)
		if (inquiry->closure.list[i].path && !inquiry->closure.list[i].same &&
		    !is_uninteresting(&inquiry->closure.list[i]))
			found = look_inside(inquiry, i, &budget);
	return found;
}
