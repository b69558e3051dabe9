/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls for which some libc has no function, or has it under another name: the shim is one
 * object for every glibc and for musl. They set errno like functions of libc.
 */
#ifndef SHIM_SYSTEM_H
#define SHIM_SYSTEM_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int system_statx(int directory, const char *path, int flags, unsigned mask, struct statx *out)
{
	return (int)syscall(SYS_statx, directory, path, flags, mask, out);
}

static inline int system_renameat2(int from_directory, const char *from, int to_directory, const char *to,
				   unsigned flags)
{
	return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
}

static inline int system_mknod(const char *path, mode_t mode, dev_t device)
{
	return (int)syscall(SYS_mknodat, AT_FDCWD, path, mode, device);
}

#endif
