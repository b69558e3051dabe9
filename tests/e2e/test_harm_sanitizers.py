# SPDX-License-Identifier: Apache-2.0
"""The shim under gcc's sanitizers, in the C programs of tests/programs: they report nothing. The
programs themselves are built without: only the shim is checked."""
import os
import pathlib
import subprocess

import pytest

import tracing
from test_programs import ALL

RUNTIMES = {"address-undefined": ["libasan.so", "libubsan.so"], "thread": ["libtsan.so"]}
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1",
           # it does not know OpenSSL's own locks and threads
           "TSAN_OPTIONS": "ignore_noninstrumented_modules=1"}
# What the address sanitizer prints about every program that switches stacks.
NOTICES = ("ASan doesn't fully support makecontext", "ASan is ignoring requested __asan_handle_no_return",
           "False positive error reports may follow", "For details see ")


def runtime(name):
    try:
        path = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True,
                              check=False).stdout.strip()
    except FileNotFoundError:
        pytest.skip("gcc is not there")
    if not os.path.isabs(path):
        pytest.skip(f"{name} is not there")
    return path


def findings(text):
    return [line for line in text.splitlines() if not any(notice in line for notice in NOTICES)]


def without_memory(output):
    """Sanitizers need a shadow of all memory that is touched, also the shim's."""
    return [line for line in output.splitlines() if not line.startswith("memory after")]


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("name", ALL)
def test_nothing_is_found(name, kind, directory):
    libraries = [runtime(library) for library in RUNTIMES[kind]]
    shim = tracing.PROGRAMS.parents[1] / "sanitized" / kind / "libtlstall.so"
    assert shim.exists(), "make test-binaries"
    program = tracing.PROGRAMS / name
    # this one prints what a sanitizer itself changes: signal handlers, memory
    env = {"LD_PRELOAD": ":".join(libraries), **OPTIONS} if name == "surroundings" else {}
    plain = tracing.run([program], env=env)
    assert plain.status == 0, plain
    traces = pathlib.Path(directory) / "traces"
    traces.mkdir(mode=0o700)
    beside = tracing.run([program], env={"LD_PRELOAD": ":".join([*libraries, str(shim)]), **OPTIONS,
                                         "TLSTALL_DIR": str(traces)}, timeout=120)
    assert findings(beside.stderr) == findings(plain.stderr), beside.stderr
    assert beside.status == plain.status and without_memory(beside.stdout) == without_memory(plain.stdout)
    assert any(traces.iterdir()), "nothing was recorded"
