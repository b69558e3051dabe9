/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings that pass from the tool to the shim, as environment variables.
 *
 * The shim reads them once, in its constructor: programs such as nginx clear
 * their environment later. An invalid value makes the shim take the default
 * and set TLSTALL_BAD_SETTING(i) in the trace; `tlstall run` refuses it.
 */
#ifndef TLSTALL_ENVIRONMENT_H
#define TLSTALL_ENVIRONMENT_H

/*
 * One row per setting: X(IDENTIFIER, name, default, values in words). The row's
 * position is its bit in tlstall_header.bad_settings: append only.
 */
#define TLSTALL_SETTINGS(X) \
	X(DIR, "TLSTALL_DIR", "", \
	  "an absolute path: the directory for trace files; default $XDG_RUNTIME_DIR/tlstall, else /tmp/tlstall-UID") \
	X(MODE, "TLSTALL_MODE", "all", \
	  "all: every call; watch: each handshake compactly, late and failed ones in full; " \
	  "handshake: only calls until the first read after a handshake; off: nothing") \
	X(SIZE, "TLSTALL_SIZE", "2M", \
	  "size of one trace file in bytes, suffix K, M or G allowed; 256K to 4G") \
	X(STACKS, "TLSTALL_STACKS", "on", \
	  "on: stacks of each handshake's first call and of failing calls; off: none") \
	X(SOCKET, "TLSTALL_SOCKET", "auto", \
	  "auto: TCP_INFO and queue sizes at some calls, unless a seccomp filter is in force; " \
	  "on: even then; off: never ask the kernel about sockets") \
	X(REACH, "TLSTALL_REACH", "dlsym,got,inside", \
	  "ways to reach libssl beside symbol order, a list of dlsym, got and inside, or none") \
	X(KEEP, "TLSTALL_KEEP", "all", \
	  "all; bad: only traces with a handshake that failed, took more than a second, or is unfinished; none") \
	X(LATE, "TLSTALL_LATE", "20", \
	  "mode watch: milliseconds from which a call or a gap between calls is late; 1 to 10000") \
	X(SAMPLE, "TLSTALL_SAMPLE", "1000", \
	  "mode watch: record one in N handshakes as in mode all; 0: none; 0 to 1000000") \
	X(REMOTE, "TLSTALL_REMOTE", "off", \
	  "off: no traces on a network or FUSE file system, which may hang; on: there too") \
	X(LIMIT, "TLSTALL_LIMIT", "1G", \
	  "bytes that the traces of a user may take in the directory, suffix K, M or G allowed; " \
	  "1M to 1024G; 0: no limit") \
	X(PRIVACY, "TLSTALL_PRIVACY", "none", \
	  "what is left out of the trace: peer, sni, stacks, several separated by commas, or none")

enum tlstall_setting {
#define TLSTALL_SETTING_ID(id, name, def, values) TLSTALL_SETTING_##id,
	TLSTALL_SETTINGS(TLSTALL_SETTING_ID)
#undef TLSTALL_SETTING_ID
	TLSTALL_SETTING_COUNT
};

#define TLSTALL_BAD_SETTING(setting) (1u << (setting))

#define TLSTALL_SIZE_MIN (256ull << 10) /* bytes */
#define TLSTALL_SIZE_MAX (4ull << 30)	/* bytes */
#define TLSTALL_LIMIT_MIN (1ull << 20)	/* bytes */
#define TLSTALL_LIMIT_MAX (1ull << 40)	/* bytes */
#define TLSTALL_LATE_MAX 10000		/* milliseconds */
#define TLSTALL_SAMPLE_MAX 1000000	/* handshakes */

/*
 * Names in the trace directory:
 *   PID-START-TAG.tlstall          a trace; START is field 22 of /proc/PID/stat, both as the
 *                                  process has them, TAG 16 hexadecimal digits that differ
 *                                  between namespaces and boots
 *   PID-START-TAG-IMAGE.tlstall    that of a later program of the same process: exec
 *                                  keeps all three; IMAGE counts from 1, as in the header
 *   PID-START-TAG.making           of a process that died while it made its trace, where the
 *                                  file system has no files without a name
 *   PID-START-TAG.failed-REASON    empty; the process runs untraced. START and TAG are 0 when
 *                                  they could not be read
 *   .taken-UID, .given-back-UID    their sizes are the numbers of 64 KiB units that the traces of
 *                                  that user took and gave back; their content means nothing
 * Up to 1.2 there was no TAG. If TLSTALL_DIR cannot be used, a .failed-REASON file is left in the
 * default directory.
 */
#define TLSTALL_TRACE_SUFFIX ".tlstall"
#define TLSTALL_MAKING_SUFFIX ".making"
#define TLSTALL_FAILED_INFIX ".failed-"
#define TLSTALL_TAKEN_PREFIX ".taken-"
#define TLSTALL_GIVEN_BACK_PREFIX ".given-back-"
#define TLSTALL_UNIT (64ull << 10)
#define TLSTALL_TAG_DIGITS 16

/* REASON: X(name, in words). An errno name if the kernel refused. */
#define TLSTALL_REASONS(X) \
	X(ENOSPC, "the disk is full") \
	X(EDQUOT, "the disk quota is used up") \
	X(EFBIG, "the limit on the size of files is below TLSTALL_SIZE") \
	X(EACCES, "no permission to write to the trace directory") \
	X(EPERM, "no permission to write to the trace directory") \
	X(EROFS, "the trace directory is on a read-only file system") \
	X(ENOENT, "the trace directory does not exist") \
	X(ENOTDIR, "the trace directory is not a directory") \
	X(ELOOP, "the trace directory is a symbolic link") \
	X(ENOMEM, "out of memory") \
	X(EMFILE, "the program has reached its limit of open files") \
	X(ENFILE, "the system has reached its limit of open files") \
	X(EEXIST, "all trace file names are in use") \
	X(EIO, "the trace could not be written") \
	X(SHARED, "the trace directory is writable by others and not sticky: chmod +t makes it so") \
	X(FULL, "the traces would fill too much of the file system: tlstall clean makes room") \
	X(REMOTE, "the trace directory is on a file system that may hang: TLSTALL_REMOTE=on uses it all the same") \
	X(LIMIT, "the traces in the directory have reached TLSTALL_LIMIT: tlstall clean makes room") \
	X(ARCHITECTURE, "OpenSSL inside the program cannot be reached on this architecture") \
	X(CODE, "a function of the OpenSSL inside the program begins with unknown instructions") \
	X(PROTECTED, "the kernel forbids changing the code of the program, which has OpenSSL inside") \
	X(THREADS, "a library of the program, which has OpenSSL inside, started threads too early")

#endif
