# SPDX-License-Identifier: Apache-2.0
# Follows "Add an interposed function" in CONTRIBUTING.md to the letter, in a copy of the shim: it
# builds, exports the function, and records its calls, including failing ones, without a handshake.
set -eu
[ -z "${SANITIZE:-}" ] || exit 77
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r Makefile include shim doc "$work"
mkdir -p "$work/tests/checks"
cp tests/checks/exports.sh "$work/tests/checks"
cd "$work"

interposed=$(sed -n 's/^  *\(INTERPOSED(SSL_key_update,.*\)/\1/p' doc/CONTRIBUTING.md)
shape=$(sed -n 's/^  *\(#define SHAPE_.*\)/\1/p' doc/CONTRIBUTING.md)
[ -n "$interposed" ] && [ -n "$shape" ] || { echo "CONTRIBUTING.md has no such lines"; exit 1; }
sed -i "/^INTERPOSED(SSL_shutdown,/a $interposed" shim/functions.def
sed -i "/^#define SHAPE_OWN/i $shape" shim/shapes.h

make -s -j2 WERROR=1 libtlstall.so >build.log 2>&1 || { tail -n 20 build.log; exit 1; }
sh tests/checks/exports.sh
nm -D --defined-only libtlstall.so | grep -q ' SSL_key_update$' || { echo "not exported"; exit 1; }

"$here/build/tests/programs/key_update" >plain
cp "$here/tlstall" . # runs programs with the shim in its own directory
./tlstall run --format jsonl -o records -- "$here/build/tests/programs/key_update" >traced
diff -u plain traced
# each call is recorded with its result, and only the handshakes of two connections
expect()
{
	found=$(grep -c "$2" records) || :
	[ "$found" = "$1" ] || { echo "$found records with $2, not $1"; cat records; exit 1; }
}
expect 1 '"fn":"SSL_key_update".*"ret":1,'
expect 4 '"fn":"SSL_key_update".*"ret":0,'
expect 4 '"type":"handshake"'
expect 4 '"type":"handshake".*"cause":"NONE"'
