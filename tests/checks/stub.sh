# SPDX-License-Identifier: Apache-2.0
# Code that runs without the rest of the tool (tools/look/stub.h, tools/attach/stub.h) refers only to
# itself, and is all in its own section.
set -u
status=0
seen=
for room in look attach; do
	object=${BUILD:-build}/tools/$room/stub.c.o
	[ -e "$object" ] || continue
	section=$(readelf -SW "$object" | sed -n "s/^ *\[ *\([0-9]*\)\] ${room}_stub .*/\1/p")
	[ -n "$section" ] || continue
	seen=$room
	inside=$(readelf -sW "$object" | awk -v s="$section" '$7 == s { print $8 }')
	for symbol in $(readelf -rW "$object" | awk -v r="${room}_stub" '/^Relocation section/ { at = index($0, r) } at && $3 ~ /^R_/ { print $5 }'); do
		echo "$inside" | grep -qx -- "$symbol" || { echo "the stub of $room refers to $symbol"; status=1; }
	done
	for other in .text .data .bss .rodata; do
		size=$(readelf -SW "$object" | sed 's/^ *\[ *[0-9]*\] *//' | awk -v n="$other" '$1 == n { print $5 }')
		[ -z "$size" ] || [ $((0x$size)) = 0 ] || { echo "the stub of $room has $other outside of its section"; status=1; }
	done
done
[ -n "$seen" ] || exit 77
exit $status
