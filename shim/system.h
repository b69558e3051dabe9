/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls, made here and not by libc's functions: programs and other preloaded libraries have
 * functions with those names (torsocks denies and reports what syscall() is asked for, libraries for
 * coroutines switch stacks in nanosleep()), which the shim must not call. None of these is a point of
 * cancellation. They set errno like functions of libc, of which some have no function, or have it
 * under another name: the shim is one object for every glibc and for musl.
 */
#ifndef SHIM_SYSTEM_H
#define SHIM_SYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static inline long system_raw(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
		      x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = e,
		      x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
	long result = syscall(number, a, b, c, d, e, f);

	return result == -1 ? -errno : result;
#endif
}

static inline long system_result(long result)
{
	if (__builtin_expect((unsigned long)result < -4095ul, 1))
		return result;
	errno = (int)-result;
	return -1;
}

/* Up to six arguments, numbers or pointers. */
#define SYSTEM_6(number, a, b, c, d, e, f, ...)                                                    \
	system_result(system_raw(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))
#define system_call(number, ...) SYSTEM_6(number, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* ---- files ------------------------------------------------------------------------------- */

static inline int system_open(const char *path, int flags, mode_t mode)
{
	return (int)system_call(SYS_openat, AT_FDCWD, path, flags, mode);
}

static inline int system_close(int fd)
{
	return (int)system_call(SYS_close, fd);
}

static inline ssize_t system_read(int fd, void *to, size_t size)
{
	return system_call(SYS_read, fd, to, size);
}

static inline ssize_t system_write(int fd, const void *from, size_t size)
{
	return system_call(SYS_write, fd, from, size);
}

static inline ssize_t system_pread(int fd, void *to, size_t size, off_t offset)
{
	return system_call(SYS_pread64, fd, to, size, offset);
}

static inline ssize_t system_pwrite(int fd, const void *from, size_t size, off_t offset)
{
	return system_call(SYS_pwrite64, fd, from, size, offset);
}

static inline off_t system_lseek(int fd, off_t offset, int whence)
{
	return system_call(SYS_lseek, fd, offset, whence);
}

static inline int system_ftruncate(int fd, off_t size)
{
	return (int)system_call(SYS_ftruncate, fd, size);
}

static inline int system_fallocate(int fd, int mode, off_t offset, off_t size)
{
	return (int)system_call(SYS_fallocate, fd, mode, offset, size);
}

struct statfs;
static inline int system_statfs(const char *path, struct statfs *out)
{
	return (int)system_call(SYS_statfs, path, out);
}

static inline int system_statx(int directory, const char *path, int flags, unsigned mask, struct statx *out)
{
	return (int)system_call(SYS_statx, directory, path, flags, mask, out);
}

static inline int system_mkdir(const char *path, mode_t mode)
{
	return (int)system_call(SYS_mkdirat, AT_FDCWD, path, mode);
}

static inline int system_mknod(const char *path, mode_t mode, dev_t device)
{
	return (int)system_call(SYS_mknodat, AT_FDCWD, path, mode, device);
}

static inline int system_unlink(const char *path)
{
	return (int)system_call(SYS_unlinkat, AT_FDCWD, path, 0);
}

static inline ssize_t system_readlink(const char *path, char *to, size_t size)
{
	return system_call(SYS_readlinkat, AT_FDCWD, path, to, size);
}

/* Follows the links of `from`. */
static inline int system_link(const char *from, const char *to)
{
	return (int)system_call(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
}

static inline int system_renameat2(int from_directory, const char *from, int to_directory, const char *to,
				   unsigned flags)
{
	return (int)system_call(SYS_renameat2, from_directory, from, to_directory, to, flags);
}

static inline int system_rename(const char *from, const char *to)
{
#ifdef SYS_renameat
	return (int)system_call(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
#else
	return system_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
#endif
}

static inline int system_get_flags(int fd)
{
	return (int)system_call(SYS_fcntl, fd, F_GETFL);
}

static inline int system_ioctl(int fd, unsigned long request, void *out)
{
	return (int)system_call(SYS_ioctl, fd, request, out);
}

/* ---- sockets ----------------------------------------------------------------------------- */

static inline int system_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	return (int)system_call(SYS_getpeername, fd, address, size);
}

static inline int system_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
	return (int)system_call(SYS_getsockname, fd, address, size);
}

static inline int system_getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
	return (int)system_call(SYS_getsockopt, fd, level, option, value, size);
}

/* ---- memory ------------------------------------------------------------------------------ */

static inline void *system_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	return (void *)system_call(SYS_mmap, at, size, protection, flags, fd, offset);
}

static inline int system_munmap(void *at, size_t size)
{
	return (int)system_call(SYS_munmap, at, size);
}

static inline int system_mprotect(void *at, size_t size, int protection)
{
	return (int)system_call(SYS_mprotect, at, size, protection);
}

static inline int system_munlock(const void *at, size_t size)
{
	return (int)system_call(SYS_munlock, at, size);
}

static inline int system_madvise(void *at, size_t size, int advice)
{
	return (int)system_call(SYS_madvise, at, size, advice);
}

static inline void *system_move(void *from, size_t size, void *to)
{
	return (void *)system_call(SYS_mremap, from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static inline int system_uname(struct utsname *out)
{
	return (int)system_call(SYS_uname, out);
}

/* ---- processes --------------------------------------------------------------------------- */

static inline pid_t system_getpid(void)
{
	return (pid_t)system_call(SYS_getpid);
}

static inline pid_t system_getppid(void)
{
	return (pid_t)system_call(SYS_getppid);
}

static inline pid_t system_gettid(void)
{
	return (pid_t)system_call(SYS_gettid);
}

static inline uid_t system_getuid(void)
{
	return (uid_t)system_call(SYS_getuid);
}

static inline uid_t system_geteuid(void)
{
	return (uid_t)system_call(SYS_geteuid);
}

static inline gid_t system_getegid(void)
{
	return (gid_t)system_call(SYS_getegid);
}

static inline int system_kill(pid_t pid, int signal)
{
	return (int)system_call(SYS_kill, pid, signal);
}

static inline int system_getrlimit(int which, struct rlimit *out)
{
	return (int)system_call(SYS_prlimit64, 0, which, NULL, out);
}

static inline int system_nanosleep(const struct timespec *time)
{
	return (int)system_call(SYS_nanosleep, time, NULL);
}

#endif
