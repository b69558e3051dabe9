# SPDX-License-Identifier: Apache-2.0
"""Programs using Alpine's libc: the same shim, look, stack and check; attach refuses."""
import json
import os
import pathlib
import re
import shutil

import pytest

import musl
import peer
import servers
import test_programs
import tracing
from attaching import refused
from servers import await_that
from test_look import Plain, check_silent, look_until, stalled, unwinds
from tracing import TLSTALL, run

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="musl is tested on x86-64")

SOURCES = tracing.ROOT / "tests/programs"
STALL = SOURCES / "stalls/stall.c"
# musl has neither makecontext() nor glibc's printf() hooks; async makes no handshake there
WITHOUT = {"coroutines", "surroundings", "async"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    directory, made = tmp_path_factory.mktemp("musl"), {}

    def build(source, *more):
        if source not in made:
            made[source] = musl.compiled(SOURCES / f"{source}.c", directory / pathlib.Path(source).name, *more)
        return made[source]
    return build


@pytest.mark.parametrize("name", [n for n in test_programs.ALL if n not in WITHOUT])
def test_same_with_and_without(name, compiled):
    program = compiled(name, SOURCES / "common.c")
    plain = run([program])
    assert plain.status == 0, plain
    traced = tracing.traced([program], check=name != "fork_middle")
    tracing.compare(plain, traced)
    assert traced.trace.handshakes, traced


@pytest.mark.coverage("musl, direct link", "a C program")
def test_two_threads(compiled):
    trace = tracing.traced([compiled("two_threads", SOURCES / "common.c")]).trace
    (client,), (server,) = test_programs.by_role(trace)
    assert client.outcome == server.outcome == "ok"
    assert len({c.tid for c in trace.ops(client)[:client.calls]}) == 2


@pytest.mark.coverage("musl, dlopen and dlsym", "a C program")
def test_dlsym(compiled, authority, start):
    port = start(servers.s_server(authority.ecdsa)).port
    argv = [compiled("reach/by_dlsym", "-DLM_ID_NEWLM=-1", "-Ddlmopen(a,b,c)=dlopen(b,c)",
                     "-Ddlvsym(a,b,c)=dlsym(a,b)"), port, "libssl.so.3"]
    plain, traced = run(argv), tracing.traced(argv)
    tracing.compare(plain, traced)
    assert "SSL_connect 1, error 0" in plain.stdout, plain
    h = traced.trace.only()
    assert (h.outcome, h.cause) == ("ok", "NONE") and traced.trace.ops(h)[0].fn == "SSL_connect"


@pytest.mark.coverage("musl, transitive", "curl")
def test_curl(authority, start):
    port = start(servers.nginx(authority.ecdsa)).port
    argv = [musl.program("curl"), "-sS", "--cacert", authority.ca, f"https://localhost:{port}/"]
    plain, traced = run(argv), tracing.traced(argv)
    tracing.compare(plain, traced)
    assert plain.status == 0, plain
    h = traced.trace.only()
    assert (h.outcome, h.cause, h.sni, h.version) == ("ok", "NONE", "localhost", "TLSv1.3"), h


def test_where_there_is_no_glibc(start, authority, directory):
    """A root like a container's: only musl, the program, its libraries, and the shim."""
    if os.geteuid():
        pytest.skip("chroot needs root")
    curl, root = musl.program("curl"), directory / "root"
    for file in curl, *(musl.ROOT / "lib").glob("lib*.so.*"):
        copy = root / str(file).lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    (root / "lib").mkdir()
    shutil.copy("/lib/ld-musl-x86_64.so.1", root / "lib")
    shutil.copy(tracing.SHIM, root)
    shutil.copy(authority.ca, root / "ca.pem")
    (root / "traces").mkdir(mode=0o700)
    port = start(servers.nginx(authority.ecdsa)).port
    result = run(["chroot", root, "/lib/ld-musl-x86_64.so.1", "--preload", "/libtlstall.so", curl, "-sS", "--cacert",
                  "/ca.pem", f"https://127.0.0.1:{port}/"], env={"TLSTALL_DIR": "/traces"})
    assert result.status == 0 and result.stderr == "", result
    text = run([TLSTALL, "report", "--format", "jsonl", str(root / "traces")]).stdout
    h, = [r for line in text.splitlines() if (r := json.loads(line))["type"] == "handshake"]
    assert (h["outcome"], h["cause"], h["role"]) == ("ok", "NONE", "client"), h


def test_curl_with_a_silent_peer(start):
    silent = start(peer.Peer(peer.silent_after_hello))
    result = run([TLSTALL, "run", "-q", "--", musl.program("curl"), "-sk", "-m", "1", f"https://127.0.0.1:{silent.port}/"])
    assert result.status == 28, result
    assert "The peer's fault: PEER_SILENT (high confidence)" in result.stderr, result
    assert re.search(r"^  code .*\(libcurl", result.stderr, re.MULTILINE), result


def test_stall_in_a_program(compiled, start, directory):
    """The cause is found from the program's calls and its socket."""
    silent = start(peer.Peer(peer.silent_after_accept))
    program = compiled("stalls/bio_not_flushed", STALL, SOURCES / "common.c")
    client = start(Plain([TLSTALL, "run", "-q", "-d", directory, program, silent.port]))
    live = await_that(lambda: (r := run([TLSTALL, "ps"], env={"TLSTALL_DIR": str(directory)}).stdout) and "BIO_NOT_PUMPED" in r and r, "BIO_NOT_PUMPED")
    assert client.process.poll() is None and "program" in live


@pytest.mark.parametrize("name, options", [
    ("curl", ["-sk", "--connect-to", "musl.example:443:127.0.0.1:{port}", "https://musl.example/"]),
    ("openssl", ["s_client", "-connect", "127.0.0.1:{port}", "-servername", "musl.example"])])
def test_look_and_stack(name, options, start):
    silent = start(peer.Peer(peer.silent_after_hello))
    client = start(Plain([musl.program(name), *(o.format(port=silent.port) for o in options)]))
    silent.wait_hellos(1)
    check_silent(stalled(client.pid)[0], silent.port, "musl.example", client.pid)
    where = r"(read|poll)\(\), descriptor \d+, the handshake's own" + (r"|poll\(\)" if name == "curl" else "")
    text = look_until(client.pid, rf"thread {client.pid} waits in (?:{where})")
    result = run([TLSTALL, "stack", str(client.pid)])
    assert f"with 127.0.0.1:{silent.port}: inside OpenSSL" in result.stdout or name == "curl", result
    assert not unwinds() or re.search(r"#0 +(\S+ \()?(libc\.so|ld-musl)", text), text


def test_attach_refuses(start):
    silent = start(peer.Peer(peer.silent_after_hello))
    client = start(Plain([musl.program("curl"), "-sk", f"https://127.0.0.1:{silent.port}/"]))
    silent.wait_hellos(1)
    refused(client.pid, "runs under musl")
    assert client.process.poll() is None


def test_check(start):
    curl = musl.program("curl")
    result = run([TLSTALL, "check", curl])
    assert result.status == 0 and f"{curl}: can be traced" in result.stdout, result
    record = json.loads(run([TLSTALL, "check", "--format", "jsonl", curl]).stdout)
    assert record["libssl"] == f"{musl.ROOT}/lib/libssl.so.3", record
    assert "runs on musl" in result.stdout and "was not found" not in result.stdout, result
    silent = start(peer.Peer(peer.silent_after_hello))
    client = start(Plain([curl, "-sk", f"https://127.0.0.1:{silent.port}/"]))
    silent.wait_hellos(1)
    result = run([TLSTALL, "check", str(client.pid)])
    assert "not-preloaded" in result.stdout and "musl:" not in result.stdout, result
