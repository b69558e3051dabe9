# SPDX-License-Identifier: Apache-2.0
# The shim exports exactly what functions.def lists.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n 's/^\(INTERPOSED\|EXPORTED\)(\([A-Za-z0-9_]*\).*/\2/p' shim/functions.def | sort >"$work/table"
nm -D --defined-only libtlstall.so | awk '{ sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"
[ -s "$work/table" ] || { echo "functions.def lists nothing"; exit 1; }
grep -qx SSL_connect "$work/exported" || { echo "SSL_connect is not exported"; exit 1; }
diff -u "$work/table" "$work/exported"
