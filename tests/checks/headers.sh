# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone; public headers also in C++, if there is a compiler.
set -u
status=0
packages="jansson libdw libelf ncursesw smartcols sqlite3"
# shellcheck disable=SC2046,SC2086
for header in $(find include shim tools tests -name '*.h'); do
	# packages for `make bench-peers` are not installed for this
	case $header in tests/bench/peers/lttng*)
		echo '#include <lttng/tracepoint.h>' | ${CC:-cc} -fsyntax-only -x c - 2>/dev/null || continue ;;
	esac
	room='-Itools -Itests'
	# not -I, because shim/elf.h differs from the system's
	case $header in shim/* | tests/unit/shim/*) room='-iquote shim' ;; esac
	${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude $room \
		$(pkg-config --cflags $packages) -fsyntax-only -x c "$header" ||
		{ echo "$header does not compile alone"; status=1; }
done
if command -v g++ >/dev/null; then
	for header in include/tlstall/*.h; do
		g++ -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ "$header" || status=1
	done
fi
exit $status
