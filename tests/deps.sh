#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs missing Debian packages of the given sections of packages.txt; prints nothing if none is
# missing. Starts no daemons.
#
#   tests/deps.sh SECTION...
set -eu

fail()
{
	echo "deps: $*" >&2
	exit 1
}

list=$(dirname "$0")/packages.txt
wanted=
for section; do
	wanted="$wanted $(awk -v section="[$section]" '
		/^\[/ { inside = ($1 == section); next }
		inside && NF && !/^#/ { print $1 }' "$list")"
done

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
	fail "this needs Debian's apt-get and dpkg-query; install the equivalent of: $wanted"

missing=
for package in $wanted; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || fail "missing, and there is no sudo to install them with:$missing"
	as_root=sudo
fi

echo "deps: installing$missing" >&2

# Server packages start their daemon on installation unless a policy forbids it: RUNLEVEL=1 for init
# scripts, policy-rc.d for the rest.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
	$as_root chmod 755 $policy
	trap '$as_root rm -f $policy' EXIT
	trap 'exit 1' INT TERM HUP
fi

install()
{
	$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 $missing
}

# Fresh images have no package lists, and old images have outdated ones.
log=$(mktemp)
if ! install >"$log" 2>&1; then
	$as_root apt-get update -q -o DPkg::Lock::Timeout=300 >"$log" 2>&1 &&
		install >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		rm -f "$log"
		fail "apt-get could not install:$missing"
	}
fi
rm -f "$log"
