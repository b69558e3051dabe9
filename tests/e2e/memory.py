# SPDX-License-Identifier: Apache-2.0
"""Lets allocations of a program fail, one at a time."""
import os
import subprocess

import tracing


class Failing:
    """env(n): the environment in which allocation n fails; 0: none, then `count` is how many there are."""

    def __init__(self, directory):
        self.library, self.counted = directory / "fail_malloc.so", directory / "count"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", self.library,
                        tracing.ROOT / "tests/programs/memory/fail_malloc.c"], check=True)

    def env(self, fail_at):
        return {"LD_PRELOAD": self.library, "FAIL_AT": str(fail_at), "COUNT_TO": self.counted}

    @property
    def count(self):
        return int(self.counted.read_text())
