# SPDX-License-Identifier: Apache-2.0
"""OpenSSL inside a program or a library: its functions are reached at their entries if they have names.
If that is impossible, the program runs as without the shim, and a note says why."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import nodes
import peer
import suite
import test_check
import test_linked
import test_reach
import tracing

coverage = pytest.mark.coverage
built, port = test_reach.built, test_reach.port
PLUGIN, CLIENTS, SOURCES = test_linked.PLUGIN, test_reach.CLIENTS, test_reach.SOURCES
HERE = os.uname().machine == "x86_64"
here = pytest.mark.skipif(not HERE, reason="entries are patched on x86-64 alone")


def linked(built, *options):
    """A C program linked with libssl.a."""
    return built("linked.c", PLUGIN, *options, *test_linked.static_libraries())


def is_said(program, way):
    answer = test_check.Answer(program)
    assert answer.seen and answer.ways == [way], answer
    return answer.words


# ---- reached -----------------------------------------------------------------

@here
@coverage("OpenSSL inside, .symtab", "a C program")
@pytest.mark.parametrize("options", [("-pie", "-fPIE"), ("-no-pie",), ("-O0",), ("-Wl,-z,now",),
                                     ("-Wl,--gc-sections", "-ffunction-sections")], ids=" ".join)
def test_named_in_the_file(options, built, port):
    program = linked(built, *options)
    plain, _ = test_reach.seen([program, port], function="SSL_connect")
    assert plain.stdout == "1\n"
    assert re.search("OpenSSL .*is inside it", is_said(program, "inside"))


@here
@coverage("OpenSSL inside, .dynsym", "a C program")
def test_exported(built, port):
    program = built("linked.c", PLUGIN, "-rdynamic", "-Wl,--whole-archive", "-l:libssl.a",
                    "-Wl,--no-whole-archive", *test_linked.static_libraries())
    subprocess.run(["strip", program], check=True)
    test_reach.seen([program, port], function="SSL_connect")
    is_said(program, "inside")


@here
@coverage("OpenSSL inside, .symtab", "a C++ program")
def test_exceptions(built, port):
    """An exception is thrown from a callback through libssl: the stack is unwound through patched code."""
    suite.needs("/usr/bin/c++")
    program = built("inside.cpp", *test_linked.static_libraries())
    plain = tracing.run([program, port])
    result = tracing.traced([program, port])
    tracing.compare(plain, result)
    assert plain.stdout == "1, error 0\nthrown through libssl\n"
    done, thrown = sorted(result.trace.handshakes, key=lambda h: h.handshake)
    assert (done.outcome, thrown.outcome) == ("ok", "abandoned")
    assert {"SSL_connect", "SSL_get_error", "SSL_shutdown"} <= result.trace.functions()
    assert [s["state"] for s in done.states][:2] == ["before SSL initialization", "SSLv3/TLS write client hello"]


@here
@coverage("OpenSSL inside, .symtab", "a Rust program")
def test_rust(port, tmp_path):
    """Its linker omits functions that nothing calls."""
    if not shutil.which("rustc"):
        pytest.skip("rustc is not here")
    program = tmp_path / "inside"
    subprocess.run(["rustc", "--edition", "2021", "-O", "-L", "/usr/lib/x86_64-linux-gnu", "-o", program,
                    SOURCES / "inside.rs"], check=True)
    plain, _ = test_reach.seen([program, port], function="SSL_connect")
    assert plain.stdout == "(1, 0)\n"
    is_said(program, "inside")


@here
@pytest.mark.parametrize("mode", ["local", "global", "deepbind"])
def test_beside_a_shared_one(mode, built, port):
    """The program contains and exports OpenSSL, and opens a plugin that links the shared one."""
    host = built("plugin_host.c", "-rdynamic", "-Wl,--whole-archive", "-l:libssl.a", "-Wl,--no-whole-archive",
                 *test_linked.static_libraries())
    plugin = built("plugin.c", "-shared", "-fPIC", "-lssl")
    test_reach.seen([host, port, mode, plugin], handshakes=2, function="SSL_connect")


@here
def test_two_inside(built, port):
    """One in the program, one in its library: calls on an object go to the copy that made it."""
    library = built("plugin.c", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-Wl,--exclude-libs,ALL", "-Dhandshake=other",
                    *test_linked.static_libraries())
    program = built("linked.c", PLUGIN, "-DOTHER", str(library), *test_linked.static_libraries())
    test_reach.seen([program, port], handshakes=2, function="SSL_connect")


@here
@coverage("OpenSSL inside a library, .symtab", "a C program")
def test_in_a_library(built, port, tmp_path):
    """A library that exports none of it, like extensions of scripting languages."""
    library = built("plugin.c", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-Wl,--exclude-libs,ALL",
                    *test_linked.static_libraries())
    program = built("linked.c", str(library))
    test_reach.seen([program, port], function="SSL_connect")
    is_said(program, "inside")


@here
@coverage("OpenSSL inside a library, .dynsym", "a C program")
def test_exported_by_a_library(built, port):
    """Its own calls do not use symbol order."""
    library = built("plugin.c", "-shared", "-fPIC", "-Wl,-Bsymbolic", *test_linked.static_libraries())
    test_reach.seen([built("linked.c", str(library)), port], function="SSL_connect")


@here
def test_stalls_are_judged(built, start):
    """Stalls inside are diagnosed like any other."""
    silent = start(peer.Peer(peer.silent_after_hello))
    result = tracing.traced(["/usr/bin/timeout", "1", linked(built, "-pie"), str(silent.port)])
    handshake, = [h for h in result.trace.handshakes if h.comm != "timeout"]
    assert (handshake.outcome, handshake.cause) == ("in_flight", "PEER_SILENT"), handshake
    assert [re.match(r"\w+", frame)[0] for frame in handshake.stack][:3] == ["handshake", "shake_hands", "main"]


# ---- left alone ---------------------------------------------------------------

def untouched(argv, note, env=None):
    """Nothing is recorded, the user sees no difference, and a note says why."""
    plain = tracing.run(argv, env=env)
    result = tracing.traced(argv, env=env)
    assert plain.stdout == result.stdout and plain.status == result.status == 0, (plain, result)
    assert result.trace.handshakes == [], result
    assert note in result.stderr if note else not result.stderr, result


@here
def test_left_out(built, port):
    """TLSTALL_REACH without `inside`."""
    untouched([linked(built, "-pie"), port], "", env={"TLSTALL_REACH": "dlsym,got"})


@coverage("OpenSSL linked statically, stripped", "a C program", "said: static-openssl")
def test_stripped(built, port):
    program = linked(built, "-s")
    assert "stripped" in test_linked.unseen([program, port], "static-openssl")


@coverage("OpenSSL linked statically, no loader", "a C program", "said: static-executable")
@pytest.mark.parametrize("option", ["-static", "-static-pie"])
def test_no_loader(option, built, port):
    try:
        program = built("linked.c", PLUGIN, option, "-w", "-l:libssl.a", "-l:libcrypto.a")
    except subprocess.CalledProcessError:
        pytest.skip("what libcrypto.a itself needs is not here as an archive")
    test_linked.unseen([program, port], "static-executable")


@here
@pytest.mark.parametrize("how", ["mdwe", "execute"])
def test_code_that_may_not_be_changed(how, built, port):
    """The kernel refuses: the code stays untouched, with a note."""
    forbids = built("forbids.c")
    if tracing.run([forbids, how, "/bin/true"]).status == 77:
        pytest.skip(f"this kernel has no {how}")
    untouched([forbids, how, linked(built, "-pie"), port], "forbids changing the code")


@here
def test_code_that_was_written_to_may_not_run(built, port):
    """As under SELinux: a copy replaces the page, and everything works."""
    forbids = built("forbids.c")
    plain, _ = test_reach.seen([forbids, "low", linked(built, "-no-pie"), port], function="SSL_connect",
                               env={"TLSTALL_SOCKET": "on"})
    assert plain.stdout == "1\n"


@here
def test_threads_that_are_there_before(built, port):
    library = built("threads_early.c", "-shared", "-fPIC", "-lpthread")
    program = linked(built, "-Wl,--no-as-needed", str(library))
    untouched([program, port], "started threads too early")


@here
def test_code_that_is_not_understood(built, port, tmp_path):
    """In a function that is never called: the whole copy is left alone."""
    program = tmp_path / "changed"
    shutil.copy(linked(built, "-no-pie"), program)
    change(program, "SSL_stateless", b"\xe2\xfe")  # loop, which has no long form
    untouched([program, port], "begins with unknown instructions")


@here
def test_process_that_is_left_alone(built, start, directory):
    """`check` reads the note, too."""
    silent = start(peer.Peer(peer.silent_after_hello))
    program = directory / "changed"
    shutil.copy(linked(built, "-no-pie"), program)
    change(program, "SSL_stateless", b"\xe2\xfe")
    env = tracing.environment(LD_PRELOAD=str(tracing.SHIM), TLSTALL_DIR=str(directory))
    process = subprocess.Popen([program, str(silent.port)], env=env)
    try:
        silent.wait_hellos(1)
        answer = test_check.Answer(str(process.pid))
        assert not answer.seen and answer.reasons == ["untraced"], answer
        assert "begins with unknown instructions" in answer.words
    finally:
        process.kill()
        process.wait()


def change(program, function, code):
    """Overwrites the beginning of a function in a position-dependent program."""
    symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    address = int(re.search(rf"^(\w+) \w {function}$", symbols, re.MULTILINE)[1], 16)
    headers = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True, check=True).stdout
    for offset, start, size in re.findall(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+)", headers):
        at = address - int(start, 16)
        if 0 <= at < int(size, 16):
            with open(program, "r+b") as file:
                file.seek(int(offset, 16) + at)
                file.write(code)


# ---- the official Node.js ------------------------------------------------------

@coverage("OpenSSL inside, .dynsym", "the official Node.js, client")
@pytest.mark.parametrize("version", nodes.VERSIONS)
def test_node_client(version, port):
    node = nodes.official(version)
    plain, trace = test_reach.seen([node, CLIENTS / "node.js", port])
    assert plain.stdout == "connected TLSv1.3\n"
    assert trace.of(trace.only())[0].bio_read == "node.js SSL buffer"
    assert re.search(r"OpenSSL 3\.\d+\.\d+.* is inside it", is_said(node, "inside"))


@coverage("OpenSSL inside, .dynsym", "the official Node.js, server")
@pytest.mark.parametrize("version", nodes.VERSIONS)
def test_node_server(version, authority):
    """The server runs in the same process: both ends are recorded."""
    command = [nodes.official(version), CLIENTS / "node_server.js", authority.ecdsa.key, authority.ecdsa.cert]
    plain = tracing.run(command)
    result = tracing.traced(command)
    tracing.compare(plain, result)
    assert plain.stdout == "server TLSv1.3\nclient TLSv1.3\nclosed\n"
    assert sorted((h.role, h.outcome, h.cause) for h in result.trace.handshakes) == [
        ("client", "ok", "NONE"), ("server", "ok", "NONE")]


@pytest.mark.parametrize("version", nodes.VERSIONS[-1:])
def test_node_that_waits(version, start):
    silent = start(peer.Peer(peer.silent_after_hello))
    result = tracing.traced(["/usr/bin/timeout", "2", nodes.official(version), CLIENTS / "node.js", str(silent.port)])
    handshake = result.trace.only()
    assert (handshake.outcome, handshake.cause) == ("in_flight", "PEER_SILENT")
    assert any("TLSWrap::" in frame for frame in handshake.stack), handshake.stack


# ---- a libssl of another name or make ------------------------------------------

@coverage("direct link", "a libssl with a hash in its name (manylinux, conda)")
def test_renamed(built, port, tmp_path):
    path = subprocess.run([test_reach.CC, "-print-file-name=libssl.so"], capture_output=True, text=True,
                          check=True).stdout.strip()
    name = test_reach.soname()
    other = "libssl-0af3"[:len(name) - 3] + ".so"  # not longer than the name that it replaces
    copy = tmp_path / other
    copy.write_bytes(pathlib.Path(path).read_bytes().replace(name.encode() + b"\0", other.encode().ljust(len(name) + 1, b"\0")))
    program = built("linked.c", PLUGIN, str(copy), f"-Wl,-rpath,{tmp_path}", "-Wl,--disable-new-dtags")
    assert other in tracing.run(["ldd", program]).stdout
    test_reach.seen([program, port], function="SSL_connect")
    assert other in is_said(program, "direct")


BORING = pathlib.Path("/usr/lib/x86_64-linux-gnu/android")


@coverage("another make of libssl", "a C program with BoringSSL", "said: only its calls")
def test_boringssl(built, port):
    """Recognized as what it is, consistently: by check, run, and the records."""
    if not (BORING / "libssl.so.0").exists():
        pytest.skip("libssl.so.0 of android-libboringssl is not there")
    program = built("boring.c", str(BORING / "libssl.so.0"), str(BORING / "libcrypto.so.0"), f"-Wl,-rpath,{BORING}")
    only_its_calls(program, port, "BoringSSL (libssl.so.0)")


# What identifies each make, besides the functions that all have.
MAKES = {
    "LibreSSL": ("libssl.so.53", "LibreSSL 3.8.2", "SSL_CTX_load_verify_mem"),
    "LibreSSL by another name": ("libssl-0af3.so", "LibreSSL 3.8.2", "SSL_CTX_load_verify_mem"),
    "AWS-LC": ("libssl.so", "OpenSSL 1.1.1 (compatible; AWS-LC 1.30.1)", "SSL_to_bytes"),
    "BoringSSL": ("libssl.so", "BoringSSL", "SSL_CTX_set_grease_enabled"),
    "an OpenSSL older than 1.1": ("libssl.so.1.0.2", "OpenSSL 1.0.2u  20 Dec 2019", "SSL_library_init"),
}


@coverage("another make of libssl", "a C program", "said: only its calls")
@pytest.mark.parametrize("make", MAKES)
def test_other_makes(make, built, port):
    soname, version, mark = MAKES[make]
    library = built("make.c", "-shared", "-fPIC", f"-Wl,-soname,{soname}", f'-DVERSION="{version}"', f"-DMARK={mark}")
    beside = library.parent / soname
    if not beside.exists():
        beside.symlink_to(library)
    program = built("boring.c", str(library), f"-Wl,-rpath,{library.parent}")
    only_its_calls(program, port, f"{make.removesuffix(' by another name')} ({soname})")
    beside.unlink()


def only_its_calls(program, port, make):
    plain = tracing.run([program, port])
    result = tracing.traced([program, port], check=False)
    assert plain.stdout.startswith("1, error 0") and result.stdout == plain.stdout, (plain, result)
    said = f"only its calls can be traced: {program.name} uses {make}"
    assert said in result.stderr and "not seen" not in result.stderr, result
    assert result.trace.handshakes == [] and "SSL_connect" in result.trace.functions(), result.trace.records
    connect, = [c for c in result.trace.calls if c.fn == "SSL_connect"]
    assert connect.ret == 1 and 0 <= connect.duration_ns < 60e9, connect
    answer = test_check.text(program)
    assert answer.status == test_check.NOT_SEEN and "only its calls can be traced" in answer.stdout, answer
