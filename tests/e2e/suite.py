# SPDX-License-Identifier: Apache-2.0
"""What this Debian suite has. A missing program is an error, except in a root of the matrix
(TLSTALL_MATRIX: "trixie", "bookworm/arm64"), where the test is skipped by name."""
import os
import pathlib

import pytest

MATRIX = os.environ.get("TLSTALL_MATRIX")
EMULATED = bool(MATRIX) and "/" in MATRIX
LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")


def lacks(what):
    """Ends the test because `what` is missing."""
    if MATRIX:
        pytest.skip(f"{what} is not in this suite's root")
    pytest.fail(f"{what} is not installed")


def needs(*programs):
    for program in programs:
        if not pathlib.Path(program).exists():
            lacks(pathlib.Path(program).name)


def has_library(name):
    return any((pathlib.Path(directory) / name).exists() for directory in LIBRARIES)
