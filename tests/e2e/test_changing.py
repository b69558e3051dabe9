# SPDX-License-Identifier: Apache-2.0
"""Commands on the trace of a live process, while somebody overwrites it with garbage."""
import os
import random
import re
import subprocess
import threading

import pytest

import tracing
from tracing import PROGRAMS, SHIM, TLSTALL

ROUNDS = 12
UNSAFE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Scribbler:
    """Writes to a file until it is stopped: single fields, whole pages, numbers used as indexes."""

    def __init__(self, path, seed):
        self.path, self.random, self.over = path, random.Random(seed), threading.Event()
        self.whole = path.read_bytes()
        self.thread = threading.Thread(target=self.scribble)
        self.thread.start()

    def scribble(self):
        with open(self.path, "r+b", buffering=0) as file:
            while not self.over.is_set():
                # mostly spares the magic and the layout at the front, without which nothing would be read
                at = self.random.randrange(64 if self.random.random() < 0.1 else 640, len(self.whole))
                size = self.random.choice((1, 4, 8, 64, 4096))
                odd = self.random.choice((b"\xff", b"\0", b"\x1b", b"\x9b", self.random.randbytes(1)))
                os.pwrite(file.fileno(), odd * size if at + size < len(self.whole) else b"", at)
                if self.random.random() < 0.02:
                    os.pwrite(file.fileno(), self.whole, 0)

    def stop(self):
        self.over.set()
        self.thread.join()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_but_an_answer_or_a_complaint(start, directory, seed):
    env = tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory), TLSTALL_SIZE="256K")
    names = [f"name-{i}.example" for i in range(20)]
    process = subprocess.Popen([PROGRAMS / "foreign", "lives", *names], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    scribbler = None
    try:
        assert process.stdout.readline() == b"done\n"
        trace, = directory.glob("*.tlstall")
        scribbler = Scribbler(trace, seed)
        answers = 0
        for _ in range(ROUNDS):
            for arguments in (["ps"], ["ps", "--all", "--format", "jsonl"], ["stack", str(process.pid)], ["ctl", str(process.pid)],
                              ["report", trace], ["report", "--format", "jsonl", directory], ["report", "--html", "/dev/null", trace],
                              ["check", str(process.pid)], ["clean", "--dry-run", directory]):
                done = subprocess.run([TLSTALL, *arguments], capture_output=True, timeout=60,
                                      env=tracing.environment(TLSTALL_DIR=str(directory)))
                assert done.returncode in (0, 1, 2), (arguments, done)
                said = (done.stdout + done.stderr).decode()
                assert not UNSAFE.search(said), (arguments, said)
                answers += done.returncode == 0
        assert answers > ROUNDS  # it was not refused every time
        assert process.poll() is None
    finally:
        if scribbler:
            scribbler.stop()
        process.kill()
        process.communicate()
