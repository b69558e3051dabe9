/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files call a shared libssl, and which other TLS libraries there are, by what files import
 * and need.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"

/* What kind of libssl a file would call. */
enum provider {
	PROVIDER_OPENSSL,
	PROVIDER_OLD, /* OpenSSL before 1.1 */
	PROVIDER_LIBRESSL,
	PROVIDER_BORINGSSL,
	PROVIDER_AWS_LC,
	PROVIDER_GNUTLS, /* its OpenSSL compatibility layer */
	PROVIDER_INSIDE, /* the program, or a library that is not libssl */
};

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* By functions that only one of them has, then by name. */
static enum provider classify_libssl(const struct library *library, const char *name)
{
	static const struct {
		uint32_t mark;
		enum provider provider;
	} marks[] = {
		{OBJECT_BIT(SSL_to_bytes), PROVIDER_AWS_LC},
		{OBJECT_BIT(SSL_CTX_set_grease_enabled), PROVIDER_BORINGSSL},
		{OBJECT_BIT(SSL_CTX_load_verify_mem), PROVIDER_LIBRESSL},
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (library->object.exports & marks[i].mark)
			return marks[i].provider;
	if (starts(name, "libssl.so.1.0") || starts(name, "libssl.so.0"))
		return PROVIDER_OLD;
	return starts(name, "libssl.so.") && strtol(name + 10, NULL, 10) >= 10 ? PROVIDER_LIBRESSL
									       : PROVIDER_OPENSSL;
}

static enum provider classify(const struct library *library)
{
	const char *name = library_name(library);

	if (starts(name, "libgnutls-openssl"))
		return PROVIDER_GNUTLS;
	if (!starts(name, "libssl.so") && !starts(name, "libssl-"))
		return PROVIDER_INSIDE;
	return classify_libssl(library, name);
}

bool is_openssl_file(struct inquiry *inquiry, const char *path)
{
	struct library library = {.path = (char *)path};
	int fd = root_open(&inquiry->closure.root, path);
	int error = fd < 0 ? fd : object_read(fd, &library.object);
	/* if it cannot be read, its name decides */
	bool is = error || classify_libssl(&library, library_name(&library)) == PROVIDER_OPENSSL;

	inquiry->result->starved |= error == -ENOMEM;
	if (fd >= 0)
		close(fd);
	object_free(&library.object);
	return is;
}

static bool provides(const struct library *library)
{
	return library->path && !library->same &&
	       library->object.exports & (OBJECT_BIT(SSL_connect) | OBJECT_BIT(SSL_do_handshake));
}

static bool needs(const struct library *user, const struct library *provider)
{
	for (size_t i = 0; i < user->object.needed_count; i++)
		if (!strcmp(user->object.needed[i], library_name(provider)))
			return true;
	return false;
}

/* The loader takes the first. Symbol versions make it take the one that the user needs by name. */
static const struct library *find_provider(const struct closure *closure,
					   const struct library *user)
{
	const struct library *first = NULL;

	for (size_t i = 0; i < closure->count; i++) {
		const struct library *library = &closure->list[i];

		if (!provides(library))
			continue;
		if (needs(user, library))
			return library;
		first = first ? first : library;
	}
	return first;
}

/* For instance "SSL_connect, SSL_do_handshake": functions that begin handshakes, else any. */
static const char *function_names(uint32_t imports, char text[static 128])
{
	uint32_t telling =
		OBJECT_BIT(SSL_connect) | OBJECT_BIT(SSL_accept) | OBJECT_BIT(SSL_do_handshake);
	size_t at = 0;

	if (imports & telling)
		imports &= telling;
	*text = 0;
	for (int i = 0; i < OBJECT_SYMBOL_COUNT; i++)
		if (imports & OBJECT_LIBSSL_BITS & 1u << i && at < 90)
			at += (size_t)snprintf(text + at, 128 - at, "%s%s", at ? ", " : "",
					       object_symbol_name(i));
	return text;
}

/* The shim passes calls to these on without recording them, as it does not know their objects. */
static void explain_provider(struct inquiry *inquiry, const struct library *user,
			     const struct library *provider)
{
	static const char *const makes[] = {
		[PROVIDER_OLD] = "an OpenSSL older than 1.1",
		[PROVIDER_LIBRESSL] = "LibreSSL",
		[PROVIDER_BORINGSSL] = "BoringSSL",
		[PROVIDER_AWS_LC] = "AWS-LC",
		[PROVIDER_GNUTLS] = "GnuTLS through its OpenSSL wrapper",
		[PROVIDER_INSIDE] = NULL, /* inside.c */
	};
	const char *make = makes[classify(provider)];

	if (!make)
		return;
	add_reason(inquiry->result, CHECK_REASON_OTHER_TLS, provider->path, "%s uses %s (%s)",
		   library_name(user), make, library_name(provider));
	inquiry->result->calls = true;
}

static void name_libssl(struct check_result *result, const struct library *provider)
{
	if (!result->libssl)
		result->libssl = keep_text(result, provider->path);
}

/* The entry added for the program or a plugin at the head of the chain that leads to `index`. */
static size_t head_of(const struct closure *closure, size_t index)
{
	while (closure->list[index].parent >= 0)
		index = (size_t)closure->list[index].parent;
	return index;
}

static void add_user(struct inquiry *inquiry, size_t index, const struct library *provider)
{
	const struct closure *closure = &inquiry->closure;
	const struct library *user = &closure->list[index];
	size_t head = head_of(closure, index);
	char functions[128];

	function_names(user->object.imports, functions);
	name_libssl(inquiry->result, provider);
	if (head)
		add_way(inquiry->result, CHECK_WAY_PLUGIN, closure->list[head].path,
			"its plugin %s, when loaded, calls %s of %s%s%s",
			library_name(&closure->list[head]), functions, library_name(provider),
			index == head ? "" : " through ", index == head ? "" : library_name(user));
	else if (!index)
		add_way(inquiry->result, CHECK_WAY_DIRECT, provider->path, "calls %s of %s",
			functions, library_name(provider));
	else
		add_way(inquiry->result, CHECK_WAY_TRANSITIVE, user->path,
			"%s, which it needs, calls %s of %s", library_name(user), functions,
			library_name(provider));
}

bool find_users(struct inquiry *inquiry, size_t first)
{
	const struct closure *closure = &inquiry->closure;
	bool seen = false;

	for (size_t i = first; i < closure->count; i++) {
		const struct library *user = &closure->list[i], *provider;

		/* libssl and its lookalikes call themselves */
		if (!user->path || user->same || !(user->object.imports & OBJECT_LIBSSL_BITS) ||
		    provides(user))
			continue;
		provider = find_provider(closure, user);
		if (!provider && inquiry->running)
			continue;
		if (!provider)
			add_note(inquiry->result, user->path,
				 "%s calls OpenSSL, but no libssl was found for it",
				 library_name(user));
		else if (classify(provider) == PROVIDER_OPENSSL)
			seen = true, add_user(inquiry, i, provider);
		else
			explain_provider(inquiry, user, provider);
	}
	return seen;
}

static const char *other_tls(const char *name)
{
	static const struct {
		const char *start, *tls;
	} others[] = {
		{"libgnutls.so", "GnuTLS"},
		{"libssl3.so", "NSS"},
		{"libmbedtls.so", "mbedTLS"},
		{"libpolarssl.so", "PolarSSL (mbedTLS)"},
		{"libwolfssl.so", "wolfSSL"},
		{"libbearssl.so", "BearSSL"},
		{"libs2n.so", "s2n-tls"},
		{"libbotan-", "Botan"},
		{"libmatrixssl.so", "MatrixSSL"},
		{"librustls.so", "rustls"},
		{"libjli.so", "Java's own TLS (JSSE)"},
		{"libjvm.so", "Java's own TLS (JSSE)"},
		{"libmono-btls", "BoringSSL (Mono)"},
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (starts(name, others[i].start))
			return others[i].tls;
	return NULL;
}

bool find_other_tls(struct inquiry *inquiry, size_t first, unsigned how)
{
	const struct closure *closure = &inquiry->closure;
	bool found = false;

	for (size_t i = first; i < closure->count; i++) {
		const struct library *library = &closure->list[i];
		const char *tls = other_tls(library_name(library)), *by = "";
		char who[256];

		if (!tls || library->same ||
		    (how & (library->parent == (int)first ? OTHER_FAR : OTHER_NEAR)))
			continue;
		if (library->parent > 0) {
			snprintf(who, sizeof(who), ", needed by %s",
				 library_name(&closure->list[library->parent]));
			by = who;
		}
		found = true;
		if (how & OTHER_DECIDES)
			add_reason(inquiry->result, CHECK_REASON_OTHER_TLS, library->path,
				   "uses %s (%s%s)", tls, library_name(library), by);
		else
			add_note(inquiry->result, library->path,
				 "also has %s, which cannot be traced (%s%s)", tls,
				 library_name(library), by);
	}
	return found;
}
