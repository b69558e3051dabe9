# SPDX-License-Identifier: Apache-2.0
"""Other libraries in LD_PRELOAD that wrap functions of libssl, before the shim and after it: each
wrapper is called as often as without the shim, and every handshake is still recorded."""
import json
import os
import pathlib
import subprocess

import pytest

import suite
import test_reach
import tracing

CC = os.environ.get("CC", "cc")
KINDS = {
    "next": [],
    "tail": ["-DTAIL", "-O2"],
    "handle": [f'-DHANDLE="{test_reach.soname()}"'],
    "more": ["-DMORE"],
    "more-handle": ["-DMORE", f'-DHANDLE="{test_reach.soname()}"'],
    "dlsym": ["-DDLSYM", f'-DHANDLE="{test_reach.soname()}"'],
}
built, port = test_reach.built, test_reach.port
pytestmark = pytest.mark.skipif(suite.EMULATED, reason="an emulator has preloads of its own")


@pytest.fixture
def other(built):
    def build(kind):
        return built("interposer.c", "-shared", "-fPIC", "-ldl", "-w", *KINDS[kind])

    return build


def linked(built):
    return built("linked.c", str(test_reach.SOURCES / "plugin.c"), "-lssl")


def counted(argv, preload, tmp_path, name, **extra):
    """Its result, and what the other library counted."""
    counts, traces = tmp_path / f"{name}.counts", tmp_path / name
    traces.mkdir()
    result = tracing.run(argv, env={"LD_PRELOAD": ":".join(map(str, preload)), "COUNTS": str(counts),
                                    "TLSTALL_DIR": str(traces), **extra})
    return result, sorted(counts.read_text().splitlines()), traces


def outcomes(traces):
    report = subprocess.run([tracing.TLSTALL, "report", "--format", "jsonl", traces], check=True,
                            capture_output=True, text=True, env=tracing.environment())
    records = map(json.loads, report.stdout.splitlines())
    return [r["outcome"] for r in records if r["type"] == "handshake"]


def both_orders(argv, library, tmp_path, handshakes, stable=True, **extra):
    """`stable`: the number of calls is the same in each run; otherwise only which functions are called."""
    def comparable(counts):
        return counts if stable else [line.split()[0] for line in counts if not line.endswith(" 0")]

    plain, without, _ = counted(argv, [library], tmp_path, "without", **extra)
    assert plain.status == 0, plain
    for name, order in ("before", [library, tracing.SHIM]), ("behind", [tracing.SHIM, library]):
        result, found, traces = counted(argv, order, tmp_path, name, **extra)
        tracing.compare(plain, result)
        assert comparable(found) == comparable(without), name
        if extra.get("TLSTALL_MODE") != "off":
            assert outcomes(traces) == ["ok"] * handshakes, name
    return without


@pytest.mark.parametrize("mode", ["all", "off"])
@pytest.mark.parametrize("kind", KINDS)
def test_linked_program(kind, mode, built, other, port, tmp_path):
    calls = both_orders([linked(built), port], other(kind), tmp_path, 1, TLSTALL_MODE=mode)
    assert "SSL_connect 1" in calls


@pytest.mark.parametrize("kind", ["next", "more"])
def test_info_callbacks(kind, other, tmp_path):
    """The getters and setters of info callbacks, BIO pairs, several objects."""
    both_orders([tracing.PROGRAMS / "info_callback"], other(kind), tmp_path, 12)


@pytest.mark.parametrize("kind", ["next", "more"])
def test_deeper_and_deeper(kind, other, tmp_path):
    """Each call of the same object is made from a deeper frame: no circle, all of them go on."""
    calls = both_orders([tracing.PROGRAMS / "recursive"], other(kind), tmp_path, 2)
    assert "SSL_connect 30" in calls


@pytest.mark.parametrize("kind", ["next", "more", "more-handle"])
def test_curl(kind, other, port, tmp_path):
    argv = ["/usr/bin/curl", "-sko", "/dev/null", "-w", "%{http_code}", f"https://127.0.0.1:{port}/"]
    both_orders(argv, other(kind), tmp_path, 1, stable=False)


def test_python(other, port, tmp_path):
    """Its libssl is loaded by a plugin: RTLD_NEXT finds nothing there."""
    argv = ["/usr/bin/python3", "-c", "import socket, ssl; c = ssl._create_unverified_context(); "
            f"print(c.wrap_socket(socket.create_connection(('127.0.0.1', {port}))).version())"]
    both_orders(argv, other("more-handle"), tmp_path, 1)


@pytest.mark.parametrize("kind", ["next", "dlsym"])
def test_by_dlsym(kind, built, other, port, tmp_path):
    """A call that bypasses the other library without the shim also bypasses it with the shim."""
    argv = [built("by_dlsym.c", "-ldl"), port, test_reach.soname()]
    calls = both_orders(argv, other(kind), tmp_path, 1)
    assert calls == ["SSL_connect 0" if kind == "next" else "SSL_connect 1"]


@pytest.mark.parametrize("mode", ["local", "global", "deepbind"])
def test_plugin(mode, built, other, port, tmp_path):
    plugin = built("plugin.c", "-shared", "-fPIC", "-lssl")
    handle = "handle" if mode == "local" else "next"  # RTLD_NEXT finds nothing after local ones
    both_orders([built("plugin_host.c", "-ldl"), port, mode, plugin], other(handle), tmp_path, 2)


def test_two_others(built, other, port, tmp_path):
    """One before the shim, one after it: each is called."""
    first, second = other("next"), built("interposer.c", "-shared", "-fPIC", "-ldl", "-w")
    copy = tmp_path / "second.so"
    copy.write_bytes(pathlib.Path(second).read_bytes())
    argv = [linked(built), port]
    _, without, _ = counted(argv, [first, copy], tmp_path, "without")
    result, found, traces = counted(argv, [first, tracing.SHIM, copy], tmp_path, "between")
    assert without == found == ["SSL_connect 1"] * 2 and result.status == 0
    assert outcomes(traces) == ["ok"]


@pytest.mark.parametrize("program", ["announced", "blocking", "threads", "fork_middle", "abandoned"])
@pytest.mark.parametrize("keep", ["all", "none"])
def test_functions_of_libc(program, keep, built, tmp_path):
    """The shim calls none that another library may have replaced."""
    library = built("watches_libc.c", "-shared", "-fPIC", "-w", "-fno-builtin", "-ldl")
    plain = tracing.run([tracing.PROGRAMS / program], env={"LD_PRELOAD": library})
    assert plain.status == 0 and not plain.stderr, plain
    for name, order in ("before", [library, tracing.SHIM]), ("behind", [tracing.SHIM, library]):
        traces = tmp_path / name
        traces.mkdir(mode=0o700)
        result = tracing.run([tracing.PROGRAMS / program],
                             env={"LD_PRELOAD": ":".join(map(str, order)), "TLSTALL_DIR": traces,
                                  "TLSTALL_KEEP": keep})
        tracing.compare(plain, result)
        if keep == "all":
            assert outcomes(traces)
