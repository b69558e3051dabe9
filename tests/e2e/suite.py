# SPDX-License-Identifier: Apache-2.0
"""What the suite at hand has. A program that is missing is an error, but in a root of the
matrix (TLSTALL_MATRIX: "trixie", "bookworm/arm64"), where it is skipped by name."""
import os
import pathlib
import subprocess

import pytest

import tracing

MATRIX = os.environ.get("TLSTALL_MATRIX")
SOURCES = pathlib.Path(__file__).parent / "clients"
EMULATED = bool(MATRIX) and "/" in MATRIX
LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")


def lacks(what):
    """Ends the test, for `what`, which is not there."""
    if MATRIX:
        pytest.skip(f"{what} is not in this suite's root")
    pytest.fail(f"{what} is not installed")


def needs(*programs):
    for program in programs:
        if not pathlib.Path(program).exists():
            lacks(pathlib.Path(program).name)


def needs_openssl(*version):
    if tracing.openssl_version() < version:
        pytest.skip(f"OpenSSL {'.'.join(map(str, tracing.openssl_version()))} has none")


def has_library(name):
    return any((pathlib.Path(directory) / name).exists() for directory in LIBRARIES)


def libssls():
    """Sonames of the shared libssl that are installed, oldest first."""
    return [name for name in ("libssl.so.1.1", "libssl.so.3", "libssl.so.4") if has_library(name)]


def links_libssl(program):
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return "libssl.so" in listed.stdout
