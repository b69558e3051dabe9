# SPDX-License-Identifier: Apache-2.0
# The shim needs only libc.
set -eu
needed=$(readelf -dW libtlstall.so | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for library in $needed; do
	case $library in
	libc.so.6 | ld-linux-aarch64.so.1) ;; # that has the stack protector's word, on arm64
	*)
		echo "libtlstall.so needs $library"
		exit 1
		;;
	esac
done
echo "$needed" | grep -qx libc.so.6

# It makes system calls by itself (shim/system.h), because a program may have functions with libc's names.
# Exceptions: the clock, and what reads which clock the kernel has, which tests/bench/counted.c replaces.
calls='accept4 clock_nanosleep close faccessat fallocate fcntl fstat ftruncate getegid geteuid gethostname
getpeername getpid getppid getrlimit getsockname getsockopt gettid getuid ioctl kill linkat lseek lstat madvise
mkdir mknod mlock mmap mprotect mremap msync munlock munmap nanosleep open openat poll posix_fallocate prctl pread
prlimit pwrite read readlink rename renameat2 sched_yield sigaction sigprocmask stat statfs statx syscall sysconf
uname unlink usleep write'
for object in ${TLSTALL_BUILD:-build}/shim/*.c.o; do
	case $object in */clock.c.o) continue ;; esac
	for name in $(nm --undefined-only "$object" | awk '{ print $NF }'); do
		case " $(echo $calls) " in
		*" $name "*)
			# its own definitions are called by name
			nm -D --defined-only libtlstall.so | grep -qw "$name" && continue
			echo "$object calls libc's $name"
			exit 1
			;;
		esac
	done
done

# Of libc, it needs only what both glibc and musl have, because one object serves both.
musl=/usr/lib/$(uname -m)-linux-musl/libc.so
[ -e "$musl" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D "$musl" | awk '{ print $3 }' >"$work/has"
nm -D --undefined-only libtlstall.so | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' >"$work/needs"
grep -qx clock_gettime "$work/needs" || { echo "libtlstall.so needs nothing"; exit 1; }
if lacks=$(grep -vxF -f "$work/has" "$work/needs"); then
	echo "musl has no" $lacks
	exit 1
fi
