# SPDX-License-Identifier: Apache-2.0
"""The shim alone, without tlstall run."""
import os

import pytest

import test_run
import tracing
from test_run import CURL, curl_to
from tracing import SHIM, TLSTALL, run

server, too_early = test_run.server, test_run.too_early


def preloaded(argv, directory, **settings):
    env = {"LD_PRELOAD": str(SHIM), "TLSTALL_DIR": str(directory),
           **{f"TLSTALL_{k}": v for k, v in settings.items()}}
    return run(argv, env=env)


def test_alone_it_makes_one_file(directory, server):
    result = preloaded(curl_to(server.port), directory)
    assert (result.status, result.stdout, result.stderr) == (0, "hello\n", "")
    assert len(tracing.listed(directory)) == 1


@pytest.mark.parametrize("argv", [["/bin/true"], ["/bin/sh", "-c", "true"],
                                  ["/usr/bin/openssl", "version"], [CURL, "--version"]])
def test_no_file_without_a_handshake(directory, argv):
    assert preloaded(argv, directory).status == 0
    assert os.listdir(directory) == []


def test_no_library_but_libc():
    def libraries(env):
        maps = run(["/bin/cat", "/proc/self/maps"], env=env).stdout
        return {os.path.basename(line.split()[-1]) for line in maps.splitlines() if ".so" in line}

    assert libraries({"LD_PRELOAD": str(SHIM)}) - libraries({}) == {"libtlstall.so"}


def test_own_directory_of_the_user(directory, server):
    """Without TLSTALL_DIR: $XDG_RUNTIME_DIR/tlstall, created for this user only."""
    env = {"LD_PRELOAD": str(SHIM), "XDG_RUNTIME_DIR": str(directory)}
    assert run(curl_to(server.port), env=env).stdout == "hello\n"
    made = directory / "tlstall"
    assert made.stat().st_mode & 0o777 == 0o700
    assert len(list(made.glob("*.tlstall"))) == 1


def test_mode_off_records_nothing(directory, server):
    assert preloaded(curl_to(server.port), directory, MODE="off").stdout == "hello\n"
    assert not list(directory.iterdir()), "a file was made"
    result = tracing.traced(curl_to(server.port), env={"TLSTALL_MODE": "off"}, check=False)
    assert result.stdout == "hello\n" and not result.trace.records
    told = run([TLSTALL, "run", "--", *curl_to(server.port)], env={"TLSTALL_MODE": "off"})
    assert "nothing recorded, because TLSTALL_MODE is off" in told.stderr, told


def test_mode_handshake_stops_at_its_end(server):
    def after_end(mode):
        trace = tracing.traced(too_early(server), env={"TLSTALL_MODE": mode}).trace
        handshake = trace.only()
        assert handshake.outcome == "ok"
        last = trace.ops(handshake)[handshake.calls - 1]
        return [c.fn for c in trace.calls[trace.calls.index(last) + 1:]]

    assert "SSL_get_error" in after_end("all")
    assert "SSL_get_error" not in after_end("handshake")


WANTS_ONCE = """import ssl
tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    del tls
"""


@pytest.mark.parametrize("mode", ["all", "watch", "handshake"])
def test_what_a_mode_leaves_out_is_not_missed(mode):
    """Python asks SSL_get_error, which mode `handshake` does not record."""
    handshake = tracing.traced(["/usr/bin/python3", "-c", WANTS_ONCE], env={"TLSTALL_MODE": mode}).trace.only()
    assert (handshake.outcome, handshake.cause) == ("abandoned", "WANT_TREATED_AS_FATAL")


def test_forks_and_execs_are_followed(server):
    script = f"({' '.join(curl_to(server.port))}); exec {' '.join(curl_to(server.port))}"
    result = tracing.traced(["/bin/sh", "-c", script])
    assert result.stdout == "hello\n" * 2
    assert [h.outcome for h in result.trace.handshakes] == ["ok", "ok"]
    assert len({h.pid for h in result.trace.handshakes}) == 2
