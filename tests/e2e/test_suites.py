# SPDX-License-Identifier: Apache-2.0
"""A part of the public suites that make check-suites runs."""
import subprocess

import pytest

import suite
import tracing


@pytest.mark.parametrize("name", ["CPython asyncio"])
def test_same_results(name):
    done = subprocess.run([tracing.ROOT / "tests/suites/run", name], capture_output=True, text=True, timeout=900,
                          check=False)
    if "not installed" in done.stdout:
        suite.lacks("libpython3.11-testsuite")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the same") == 3, done.stdout
