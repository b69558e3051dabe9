# SPDX-License-Identifier: Apache-2.0
"""Under valgrind's memcheck: no errors, memory or descriptors that are not there without the shim."""
import pathlib
import re
import shutil

import pytest

import servers
import tracing


def memcheck(argv, directory, env=None):
    """Errors, memory in use, and open descriptors at the end, as valgrind reports them."""
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not there")
    log = pathlib.Path(directory) / "memcheck"
    done = tracing.run(["valgrind", "--track-fds=yes", "--leak-check=full", "--trace-children=no",
                        f"--log-file={log}", *argv], env=env, timeout=300)
    text = re.sub(r"==\d+== ?", "", log.read_text())
    errors = re.search(r"ERROR SUMMARY: (\d+) errors", text)
    in_use = re.search(r"in use at exit: ([\d,]+) bytes", text)
    descriptors = re.search(r"FILE DESCRIPTORS: (.*)", text)
    assert errors and in_use and descriptors, text
    return done, int(errors[1]), in_use[1], descriptors[1], text


def compare(argv, directory):
    plain, *before, text = memcheck(argv, directory)
    assert plain.status == 0, plain
    traces = pathlib.Path(directory) / "traces"
    traces.mkdir(mode=0o700)
    beside, *after, text = memcheck(argv, directory, {"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(traces)})
    tracing.compare(plain, beside)
    assert before == after, text
    assert "points to un" not in text, text
    trace = tracing.Trace(tracing.run([tracing.TLSTALL, "report", "--format", "jsonl", traces]).stdout)
    assert trace.handshakes and all(h.outcome == "ok" and h.stack for h in trace.handshakes)


def test_curl(directory, authority, start):
    port = start(servers.s_server(authority.ecdsa)).port
    compare(["/usr/bin/curl", "-s", "--cacert", authority.ca, "-o", "/dev/null", "-w", "%{http_code}", f"https://127.0.0.1:{port}/"],
            directory)


@pytest.mark.parametrize("name", ["connection_threads", "bio_pair"])
def test_programs(name, directory):
    compare([tracing.PROGRAMS / name], directory)
