# SPDX-License-Identifier: Apache-2.0
"""A program that uses SSL objects in any order, right or wrong, forks in the middle, and does so in
threads: it prints the same with the shim as without, and as many handshakes are recorded as it saw
succeed. TLSTALL_SEEDS is how many orders each test tries."""
import os

import pytest

import tracing
from test_harm_sanitizers import OPTIONS, RUNTIMES, findings, runtime

STEPS = 300
PROGRAM = tracing.PROGRAMS / "any_order"
SEEDS = int(os.environ.get("TLSTALL_SEEDS", "16"))


def command(seed, threads):
    return [PROGRAM, str(seed), str(STEPS), str(threads)]


def finished(output):
    return sum(int(line.split()[1]) for line in output.splitlines() if line.startswith("finished "))


@pytest.mark.parametrize("threads", [1, 6])
def test_same_in_any_order(threads):
    for seed in range(SEEDS):
        plain = tracing.run(command(seed, threads))
        assert plain.status == 0, (seed, plain)
        # a forked child continues a handshake that its parent began
        with_shim = tracing.traced(command(seed, threads), check=False)
        assert (with_shim.status, with_shim.stdout, with_shim.stderr) == (0, plain.stdout, plain.stderr), seed
        succeeded = [h for h in with_shim.trace.handshakes if h.outcome == "ok"]
        if seed % 2 == 0:
            assert len(succeeded) == finished(plain.stdout) > 0, seed


@pytest.mark.parametrize("kind", RUNTIMES)
def test_sanitizers_find_nothing(kind, directory):
    libraries = [runtime(library) for library in RUNTIMES[kind]]
    shim = tracing.PROGRAMS.parents[1] / "sanitized" / kind / "libtlstall.so"
    assert shim.exists(), "make test-binaries"
    for seed in range(SEEDS // 4):
        plain = tracing.run(command(seed, 6))
        beside = tracing.run(command(seed, 6), timeout=120, env={
            "LD_PRELOAD": ":".join([*libraries, str(shim)]), **OPTIONS, "TLSTALL_DIR": str(directory)})
        assert not findings(beside.stderr), (seed, beside.stderr)
        assert (beside.status, beside.stdout) == (plain.status, plain.stdout), seed
