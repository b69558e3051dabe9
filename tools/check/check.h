/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the preloaded shim can trace the TLS of a program or of a running process, and if not,
 * why. Reads files and /proc; runs, loads and prints nothing. Everything that it reads may be
 * hostile.
 */
#ifndef TOOLS_CHECK_CHECK_H
#define TOOLS_CHECK_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

/* X(IDENTIFIER, "name in JSON"): how TLS calls reach the shim. Append only. */
#define CHECK_WAYS(X) \
	X(DIRECT, "direct")		/* the program itself imports SSL_* */ \
	X(TRANSITIVE, "transitive")	/* a library that it needs imports SSL_* */ \
	X(PLUGIN, "plugin")		/* a plugin found on disk does, when it is loaded */ \
	X(DLSYM, "dlsym")		/* SSL_* looked up by name at run time */ \
	X(DEEPBIND, "deepbind")		/* a plugin loaded with RTLD_DEEPBIND: the shim patches its GOT */ \
	X(LOADED, "loaded")		/* libssl is mapped into the process */ \
	X(TRACED, "traced")		/* the shim is in the process already */ \
	X(INSIDE, "inside")		/* the shim patches functions that have names in the program */

/* X(IDENTIFIER, "name in JSON"): why they do not reach it. Append only. */
#define CHECK_REASONS(X) \
	X(NO_TLS, "no-tls")			/* nothing of TLS found */ \
	X(STATIC_OPENSSL, "static-openssl")	/* OpenSSL linked into the program or a library */ \
	X(OTHER_TLS, "other-tls")		/* GnuTLS, NSS, Go ... */ \
	X(SECURE, "secure-execution")		/* AT_SECURE: the loader ignores LD_PRELOAD */ \
	X(STATIC, "static-executable")		/* no dynamic loader, so no LD_PRELOAD */ \
	X(MUSL, "musl")				/* not given any more: the shim was for glibc alone */ \
	X(OTHER_LIBC, "other-libc")		/* neither glibc's loader nor musl's */ \
	X(ARCHITECTURE, "architecture")		/* not the shim's machine or word size */ \
	X(STRIPPED, "environment-stripped")	/* LD_PRELOAD is taken out of the environment */ \
	X(SHIM_UNREADABLE, "shim-unreadable")	/* missing or unmappable, as seen by the program */ \
	X(NOT_PRELOADED, "not-preloaded")	/* the process was started without the shim */ \
	X(UNTRACED, "untraced")			/* the shim could not make a trace */

enum check_way {
#define CHECK_ID(id, name) CHECK_WAY_##id,
	CHECK_WAYS(CHECK_ID)
#undef CHECK_ID
};

enum check_reason {
#define CHECK_ID(id, name) CHECK_REASON_##id,
	CHECK_REASONS(CHECK_ID)
#undef CHECK_ID
};

const char *check_way_name(enum check_way way);
const char *check_reason_name(enum check_reason reason);

/* One line of an answer. `kind` is a way or a reason by the list that it is in; 0 in notes. */
struct check_finding {
	int kind;
	char *text; /* a sentence without its full stop */
	char *file; /* what it was found in, or NULL */
};

struct check_findings {
	struct check_finding *list;
	size_t count;
};

struct check_options {
	const char *shim;	  /* file of the shim; NULL: as check_find_shim() says */
	bool needs_shim;	  /* without one, nothing can be traced */
	const char *path;	  /* as $PATH; NULL: the environment's */
	const char *library_path; /* as $LD_LIBRARY_PATH; NULL: the environment's */
};

struct check_result {
	bool seen;
	bool calls;	/* only its calls can be traced: its libssl is not a supported OpenSSL */
	pid_t pid;	/* of a process; 0 for a program */
	char *target;	/* as it was given */
	char *program;	/* file of the program that was checked, after following #! and PATH */
	char *libssl;	/* file of the libssl that would be used; NULL: not known */
	char *trace;	/* trace file of a traced process; NULL: it has none yet */
	struct check_findings ways, reasons;
	struct check_findings notes; /* what does not decide but is worth knowing */
	char *error;	/* after a failure: what is wrong */
	bool starved;	/* something is missing for lack of memory: there is no answer */
};

/*
 * Both return 0 when there is an answer, else a negative errno (ENOENT no such
 * program, ESRCH no such process, EACCES not allowed, ENOEXEC not a program,
 * EISDIR, ENOMEM ...) with the words in result->error. `options` may be NULL.
 * The result is to be freed in either case.
 */
int check_program(const char *program, const struct check_options *options,
		  struct check_result *result);
int check_pid(pid_t pid, const struct check_options *options, struct check_result *result);
void check_result_free(struct check_result *result);

/*
 * The answer in one line without newline: "wget: cannot be traced: uses GnuTLS
 * (libgnutls.so.30)". Cut at `size` bytes, always terminated. Returns `text`.
 */
char *check_summary(const struct check_result *result, char *text, size_t size);

/* "can be traced", "cannot be traced" or "only its calls can be traced". */
const char *check_verdict(const struct check_result *result);

/*
 * The shim that belongs to this tool: beside the executable, else in tlstall/ of
 * the library directory (LIBDIR in the Makefile). Returns `path` or NULL when there is none.
 */
char *check_find_shim(char *path, size_t size);
#define CHECK_NO_SHIM "libtlstall.so is neither next to this program nor where it was installed"

/* The loader splits LD_PRELOAD at spaces and colons. */
static inline bool check_can_preload(const char *shim)
{
	return !strpbrk(shim, ": ");
}
#define CHECK_NO_PRELOAD "LD_PRELOAD cannot name a path with a space or colon"

#endif
