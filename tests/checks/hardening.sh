# SPDX-License-Identifier: Apache-2.0
# No text relocations, no executable stack, everything bound at start, nothing both writable and
# executable.
set -eu
for product in libtlstall.so tlstall; do
	dynamic=$(readelf -dW $product)
	segments=$(readelf -lW $product)
	fail()
	{
		echo "$product: $*"
		exit 1
	}
	echo "$dynamic" | grep -q TEXTREL && fail "text relocations"
	echo "$dynamic" | grep -Eq '(BIND_NOW|NOW)' || fail "not bound at start"
	echo "$segments" | grep -q 'GNU_RELRO' || fail "no RELRO"
	echo "$segments" | grep 'GNU_STACK' | grep -q 'RWE' && fail "executable stack"
	echo "$segments" | grep 'GNU_STACK' >/dev/null || fail "no GNU_STACK"
	echo "$segments" | grep 'LOAD' | grep -q 'RWE' && fail "a segment both writable and executable"
	readelf -hW $product | grep -q 'DYN' || fail "not position independent"
done
exit 0
