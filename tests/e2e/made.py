# SPDX-License-Identifier: Apache-2.0
"""Traces of any size, written without running anything (tests/bench/make_traces.c)."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import tracing

# Of every 33 handshakes the one at index 7 is bad, in these ways by turns.
WAYS = ("silent", "late", "refused", "unacked", "spinning", "waiting")


def bad(count):
    """How many of `count` handshakes are bad."""
    return len(range(7, count, 33))


def bad_of(count, way):
    return len([i for i in range(7, count, 33) if i // 33 % len(WAYS) == WAYS.index(way)])


class Maker:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
        self.program = self.directory / "make_traces"
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-I", tracing.ROOT / "include",
                        "-o", self.program, tracing.ROOT / "tests/bench/make_traces.c"], check=True)

    def make(self, count, *options, name="4123-8877.tlstall"):
        """In a directory of its own, so that the directory can be an argument, too."""
        path = pathlib.Path(tempfile.mkdtemp(dir=self.directory)) / name
        subprocess.run([self.program, path, str(count), *options], check=True)
        return path

    def stop(self):
        shutil.rmtree(self.directory)
