#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shows a real, unmodified curl stuck in its TLS handshake, and why. Succeeds only if the diagnosis names
# the silent peer.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
mkfifo "$work/port"
python3 tests/e2e/peer.py silent-after-hello >"$work/port" &
peer=$!
trap '{ kill $peer; wait $peer; } 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT
read -r port <"$work/port"

cat <<TEXT
A server on port $port accepts the connection, reads curl's ClientHello and never answers.
curl alone would say, after four seconds, only that its operation timed out. With tlstall:

\$ tlstall run -- curl -sk --max-time 4 https://127.0.0.1:$port/

TEXT

status=0
./tlstall run -- curl -sk --max-time 4 "https://127.0.0.1:$port/" 2>"$work/output" || status=$?
cat "$work/output"

fail()
{
	echo "demo: $*" >&2
	exit 1
}
[ $status = 28 ] || fail "exit status $status: curl's own for a timeout is 28"
grep -q 'PEER_SILENT' "$work/output" || fail "the diagnosis does not name a silent peer"
