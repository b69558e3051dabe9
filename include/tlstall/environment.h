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
 * One row a setting: X(IDENTIFIER, name, default, values in words). The row's
 * position is the bit in tlstall_header.bad_settings: append only.
 */
#define TLSTALL_SETTINGS(X) \
	X(DIR, "TLSTALL_DIR", "", \
	  "directory for trace files; default $XDG_RUNTIME_DIR/tlstall, else /tmp/tlstall-UID") \
	X(MODE, "TLSTALL_MODE", "all", \
	  "all: every call; handshake: only while a handshake is unfinished; off: dormant") \
	X(SIZE, "TLSTALL_SIZE", "2M", \
	  "size of one trace file in bytes, suffix K, M or G allowed; 256K to 4G") \
	X(STACKS, "TLSTALL_STACKS", "on", \
	  "on: the stack of each handshake's first op and of failing ones; off: none") \
	X(SOCKET, "TLSTALL_SOCKET", "on", \
	  "on: TCP_INFO and queue sizes at chosen ops; off: never ask the kernel") \
	X(REACH, "TLSTALL_REACH", "dlsym,got", \
	  "ways to reach libssl beside symbol order: dlsym, got, none")

enum tlstall_setting {
#define TLSTALL_SETTING_ID(id, name, def, values) TLSTALL_SETTING_##id,
	TLSTALL_SETTINGS(TLSTALL_SETTING_ID)
#undef TLSTALL_SETTING_ID
	TLSTALL_SETTING_COUNT
};

#define TLSTALL_BAD_SETTING(setting) (1u << (setting))

#define TLSTALL_SIZE_MIN (256ull << 10) /* bytes */
#define TLSTALL_SIZE_MAX (4ull << 30)	/* bytes */

/*
 * Names in the trace directory:
 *   PID-START.tlstall          a trace; START is field 22 of /proc/PID/stat
 *   PID-START-IMAGE.tlstall    that of a later program of the same process: exec
 *                              keeps both; IMAGE counts from 1, as in the header
 *   PID-START.failed-REASON    empty; the process runs untraced, REASON is an
 *                              errno name (ENOSPC, EFBIG, EACCES ...)
 */
#define TLSTALL_TRACE_SUFFIX ".tlstall"
#define TLSTALL_FAILED_INFIX ".failed-"

#endif
