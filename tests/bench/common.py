# SPDX-License-Identifier: Apache-2.0
"""How figures are measured: programs with and without the shim, in a directory of their own."""
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("TLSTALL_BUILD", "build")
BIN = BUILD / "tests/bench"
SHIM = ROOT / "libtlstall.so"
TOOL = ROOT / "tlstall"
EMPTY = BIN / "empty.so"


class NotAvailable(Exception):
    """A figure that cannot be measured here, and why."""


def directory():
    return tempfile.TemporaryDirectory(prefix="tlstall-bench-")


def environment(traces=None, **more):
    """Without `traces`, the shim is not used."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("TLSTALL_") and k != "LD_PRELOAD"}
    if traces:
        env.update(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(traces))
    env.update({k: str(v) for k, v in more.items()})
    return env


def output(*command, env=None):
    done = subprocess.run([str(c) for c in command], env=env or environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise NotAvailable(f"{command[0]}: exit status {done.returncode}: "
                           f"{(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def figures(program, *arguments, before=(), **settings):
    """Runs one of our programs under the shim; its figures by name."""
    with directory() as traces:
        env = environment(traces, TLSTALL_REACH="none", **settings)
        text = output(*before, BIN / program, *arguments, env=env)
    rows = [json.loads(line) for line in text.splitlines()]
    return {row.pop("figure"): row for row in rows}


def scaled(row, by, digits=3):
    return {k: [round(x * by, digits) for x in v] if isinstance(v, list)
            else v if k == "pairs" else round(v * by, digits) for k, v in row.items()}


def paired(plain, traced):
    """A row from two lists of pairs: medians, quartiles."""
    differences = sorted(t - p for p, t in zip(plain, traced))
    count = len(differences)
    half = int(0.98 * count ** 0.5)
    return {"plain": statistics.median(plain), "traced": statistics.median(traced),
            "difference": statistics.median(differences),
            "low": differences[max(0, count // 2 - half)],
            "high": differences[min(count - 1, count // 2 + half)], "pairs": count}


def paired_share(plain, traced):
    """By how many percent `traced` is larger, from pairs."""
    row = paired([0.0] * len(plain), [100 * (t / p - 1) for p, t in zip(plain, traced)])
    return {"value": row["difference"], "low": row["low"], "high": row["high"], "pairs": row["pairs"]}
