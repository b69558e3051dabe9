# SPDX-License-Identifier: Apache-2.0
# The shim needs libc alone.
set -eu
needed=$(readelf -dW libtlstall.so | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for library in $needed; do
	case $library in
	libc.so.6 | ld-linux-*) ;;
	*)
		echo "libtlstall.so needs $library"
		exit 1
		;;
	esac
done
echo "$needed" | grep -qx libc.so.6
