# SPDX-License-Identifier: Apache-2.0
"""check and look: memory that runs out. Check not for programs that load plugins: then glibc's glob() frees names twice."""
import pytest

import memory
import test_check
import test_linked
import test_look
from servers import await_that
from test_check import CALLS_LIBSSL, compile_c
from test_check_process import Running
from tracing import PROGRAMS, SHIM, TLSTALL, run

directory = test_check.directory


def target(kind, directory, start):
    if kind == "program":
        return compile_c(directory, CALLS_LIBSSL, "-lssl", "-lcrypto")
    if kind == "script":
        script = directory / "script"
        script.write_text("#!/usr/bin/env sh\n")
        script.chmod(0o755)
        return script
    if kind == "OpenSSL inside":
        return compile_c(directory, CALLS_LIBSSL, *test_linked.static_libraries())
    preload = {"untraced": "", "other preload": f"{SHIM} {directory}/libother.so"}.get(kind, str(SHIM))
    if kind == "other preload":
        compile_c(directory, "int SSL_connect(void *ssl) { return !ssl; }", "-shared", "-fPIC", name="libother.so")
    if kind == "note":
        (directory / "traces").write_text("")
    env = {"TLSTALL_DIR": str(directory / ("traces" if kind == "note" else ".")), "XDG_RUNTIME_DIR": str(directory)}
    return start(Running([PROGRAMS / "harm" / "exec_later"], LD_PRELOAD=preload, **env)).pid


SAID = {"program": "direct: calls", "script": "is a script", "OpenSSL inside": "is inside it", "untraced": "started without the shim",
        "traced": "is being traced", "other preload": "another preloaded library", "note": "runs untraced"}


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_check(directory, start, kind, form):
    """Each allocation fails by turns: the answer is whole, or check fails and says so."""
    failing = memory.Failing(directory)
    command = [TLSTALL, "check", "--format", form, str(target(kind, directory, start))]
    if kind == "script" and form == "text":
        command.insert(2, f"--shim={SHIM}")

    def answer(fail_at):
        result = run(command, env=failing.env(fail_at))
        assert result.status in (0, 1, 2), (fail_at, result)
        if result.status == 2:
            assert "memory" in result.stderr and len(result.stderr.splitlines()) == 1, (fail_at, result)
        return result.status, result.status < 2 and result.stdout

    whole, count = answer(0), failing.count
    assert whole[0] < 2 and SAID[kind].split(": ")[-1] in whole[1], whole
    for fail_at in range(1 + (form == "jsonl"), count + 1, count // 40 + 1):
        assert answer(fail_at) in (whole, (2, False)), (fail_at, count, whole)


@test_look.pytestmark
def test_look_tells_the_reason(directory, start):
    """Nothing else is blamed for it. Later allocations are for names of functions in stacks, which may be missing."""
    failing = memory.Failing(directory)
    program = start(test_look.Plain([PROGRAMS / "stalls" / "swings"]))
    await_that(lambda: "1 in a handshake" in test_look.look(program.pid).stdout, "it makes a handshake")
    for fail_at in range(1, 200, 3):
        result = run([TLSTALL, "look", str(program.pid)], env=failing.env(fail_at))
        assert result.status == 0 or "memory" in result.stderr, (fail_at, result)
