# SPDX-License-Identifier: Apache-2.0
# The shim computes only with integers: floating-point code would set processor flags that a program can
# read, and raise exceptions that it may have enabled.
set -eu
command -v objdump >/dev/null || exit 77
case $(uname -m) in
x86_64) computes='v?(cvt|mul|add|sub|div|sqrt|max|min|u?comi)[a-z0-9]*[sp][sd]|f(ld|st|i?mul|i?div|i?add|i?sub|ild|istp?)[a-z0-9]*' ;;
*) computes='(ucvtf|scvtf|fcvt[a-z]*|fadd|fsub|fmul|fdiv|fmadd|fmsub|fcmpe?)' ;;
esac
found=$(objdump -d --no-show-raw-insn libtlstall.so |
	awk '/^[0-9a-f]+ <.*>:$/ { name = $2 } /^ / { print $2, "in", name }' |
	grep -E "^($computes) " || true)
[ -z "$found" ] || {
	echo "$found"
	exit 1
}
