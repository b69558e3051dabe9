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

# Of libc, it needs only what both glibc and musl have, because one object serves both.
musl=/usr/lib/$(uname -m)-linux-musl/libc.so
[ -e "$musl" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D "$musl" | awk '{ print $3 }' >"$work/has"
nm -D --undefined-only libtlstall.so | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' >"$work/needs"
grep -qx mmap "$work/needs" || { echo "libtlstall.so needs nothing"; exit 1; }
if lacks=$(grep -vxF -f "$work/has" "$work/needs"); then
	echo "musl has no" $lacks
	exit 1
fi
