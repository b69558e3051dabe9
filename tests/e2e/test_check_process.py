# SPDX-License-Identifier: Apache-2.0
"""check: running processes."""
import pathlib
import shutil
import subprocess

import pytest

import peer
import servers
import test_check
import tracing
from test_check import CALLS_LIBSSL, ERROR, Answer, as_root, compile_c, honors_setuid, refused
from tracing import SHIM, run

directory = test_check.directory


class Running:
    """A process that prints a line when it is ready, and ends when its input does."""

    def __init__(self, argv, **env):
        self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        env=tracing.environment(**env))
        self.line = self.process.stdout.readline().strip()
        self.pid = self.process.pid

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


PYTHON = ["/usr/bin/python3", "-c", "import ssl; print('there', flush=True); input()"]
CAT = "int puts(const char *); int fflush(void *); int getchar(void);" \
      "int main(void) { puts(\"there\"); fflush(0); while (getchar() != -1) ; return 0; }"


def test_process_without_shim(start):
    running = start(Running(PYTHON))
    answer = Answer(str(running.pid))
    assert not answer.seen and answer.reasons == ["not-preloaded"], answer
    assert "loaded" in answer.ways and answer.record["libssl"].endswith("libssl.so.3"), answer
    assert answer.record["pid"] == running.pid and "started without the shim" in answer.words
    assert "tlstall attach loads the shim" in answer.words


def test_process_with_shim(start):
    running = start(Running(PYTHON, LD_PRELOAD=str(SHIM)))
    answer = Answer(str(running.pid))
    assert answer.seen and "traced" in answer.ways and not answer.reasons, answer
    assert "trace" not in answer.record and "no handshake yet" in answer.words


def test_process_with_shim_that_is_off(start):
    running = start(Running(PYTHON, LD_PRELOAD=str(SHIM), TLSTALL_MODE="off"))
    answer = Answer(str(running.pid))
    assert not answer.seen and answer.reasons == ["untraced"], answer
    assert "it was started with TLSTALL_MODE=off" in answer.words and "no handshake yet" not in answer.words


def test_process_with_shim_but_other_tls(directory, start):
    program = compile_c(directory, CAT)
    answer = Answer(str(start(Running([program], LD_PRELOAD=str(SHIM))).pid))
    assert not answer.seen and answer.reasons == ["no-tls"] and "has the shim" in answer.words


def test_traced_process(directory, start):
    silent = start(peer.Peer(peer.silent_after_hello))
    process = subprocess.Popen(["curl", "-ks", f"https://127.0.0.1:{silent.port}/"],
                               env=tracing.environment(LD_PRELOAD=str(SHIM),
                                                       TLSTALL_DIR=str(directory)))
    try:
        silent.wait_hellos(1)
        answer = Answer(str(process.pid))
    finally:
        process.kill()
        process.wait()
    assert answer.seen and "traced" in answer.ways, answer
    trace = pathlib.Path(answer.record["trace"])
    assert trace.parent == directory and trace.name.startswith(f"{process.pid}-"), answer


def test_stripped_environment(directory, start):
    program = compile_c(directory, CAT)
    running = start(Running(["/bin/sh", "-c", f"echo $$; env -u LD_PRELOAD {program}; exit"],
                            LD_PRELOAD=str(SHIM)))
    assert running.process.stdout.readline() == "there\n"
    child = run(["pgrep", "-P", running.line]).stdout.split()[0]
    answer = Answer(child)
    assert "environment-stripped" in answer.reasons and running.line in answer.words, answer


def test_replaced_shim(directory, start):
    """As after an upgrade: the process has it, and its child is known to lack it."""
    program, shim = compile_c(directory, CAT), directory / SHIM.name
    shutil.copy(SHIM, shim)
    running = start(Running(["/bin/sh", "-c", f"echo $$; env -u LD_PRELOAD {program}; exit"], LD_PRELOAD=str(shim)))
    assert running.process.stdout.readline() == "there\n"
    shim.unlink()
    shutil.copy(SHIM, shim)
    assert "has the shim" in Answer(running.line).words
    answer = Answer(run(["pgrep", "-P", running.line]).stdout.split()[0])
    assert "environment-stripped" in answer.reasons and running.line in answer.words, answer


def test_replaced_program(directory, start):
    program = compile_c(directory, CAT)
    running = start(Running([program]))
    program.unlink()
    answer = Answer(str(running.pid))
    assert answer.record["program"] == str(program) and "replaced or removed" in answer.words, answer


@as_root
def test_secure_process(directory, start):
    program = compile_c(directory, CAT)
    if not honors_setuid(program):
        pytest.skip("mounted nosuid")
    shutil.chown(program, "nobody")
    program.chmod(0o4755)
    answer = Answer(str(start(Running([program], LD_PRELOAD=str(SHIM))).pid))
    assert not answer.seen and "secure-execution" in answer.reasons, answer


CHANGES_ITS_ROOT = """
import os, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
os.chroot(sys.argv[1])
print("there", flush=True)
input()
"""


@as_root
def test_process_that_changed_its_root(directory, start):
    """As haproxy does: its libraries and its trace are not below its root."""
    (directory / "root").mkdir()
    running = start(Running([*PYTHON[:2], CHANGES_ITS_ROOT, directory / "root"], LD_PRELOAD=str(SHIM),
                            TLSTALL_DIR=str(directory / "traces")))
    answer = Answer(str(running.pid))
    assert answer.seen and "traced" in answer.ways and not answer.reasons, answer
    trace, = (directory / "traces").glob("*.tlstall")
    assert answer.record["trace"] == str(trace) and "was not found" not in answer.words, answer


@as_root
def test_process_in_a_chroot(directory, start):
    """Its libraries are those in its root, and the shim is not there."""
    program = compile_c(directory, CALLS_LIBSSL.replace("int main(void)\n{", """
        #include <stdio.h>
        int main(void)
        {
            puts("there"); fflush(stdout); if (getchar() == EOF) return 0;
        """), "-lssl", "-lcrypto")
    for line in run(["ldd", program]).stdout.splitlines():
        for word in line.split():
            if word.startswith("/"):
                copy = directory / word[1:]
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, copy)
    running = start(Running(["chroot", directory, "/program"]))
    answer = Answer("--shim", SHIM, str(running.pid))
    assert not answer.seen and "shim-unreadable" in answer.reasons, answer
    assert "its root directory" in answer.words and "direct" in answer.ways, answer
    inside = directory / str(SHIM)[1:]
    inside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIM, inside)
    assert Answer("--shim", SHIM, str(running.pid)).reasons == ["not-preloaded"]


def test_no_process(directory):
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    assert f"no such process: {gone.pid}" in refused(str(gone.pid))
    assert "no such process" in refused("0")
    assert "no such process" in refused("99999999999999999999")


@as_root
def test_another_users_process(directory, start):
    tool = tracing.copy_products(directory)
    running = start(Running(PYTHON))
    result = run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", tool, "check",
                  str(running.pid)])
    assert result.status == ERROR and "no permission to inspect process" in result.stderr, result
