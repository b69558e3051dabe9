# SPDX-License-Identifier: Apache-2.0
# No figure in instructions.txt grows by more than 2 %: instructions that the shim executes for fixed
# work, and calls that it makes to other libraries.
set -eu
command -v valgrind >/dev/null || exit 77
[ "$(uname -m)" = x86_64 ] || exit 77
[ -z "${SANITIZE:-}" ] || exit 77
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 tests/bench/instructions.py check tests/checks/instructions.txt
