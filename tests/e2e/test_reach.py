# SPDX-License-Identifier: Apache-2.0
"""Every way in which a program gets to libssl: each handshake is recorded, and the program's output is
unchanged. What a system lacks is skipped by name."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import servers
import suite
import tracing

CLIENTS = pathlib.Path(__file__).parent / "clients"
SOURCES = tracing.ROOT / "tests/programs/reach"
CC = os.environ.get("CC", "cc")


def soname():
    """Of the libssl that new programs are linked with."""
    listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    linked = subprocess.run(["ldd", "/usr/bin/openssl"], capture_output=True, text=True, check=True)
    name, = set(re.findall(r"libssl\.so\.[\d.]+", linked.stdout))
    assert name in listing.stdout
    return name


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """built(source, options...): compiles one of the programs, once for each set of options."""
    directory, made = tmp_path_factory.mktemp("reach"), {}

    def build(source, *options):
        if (source, options) not in made:
            output = directory / f"{pathlib.Path(source).stem}-{len(made)}"
            compiler = CC if source.endswith(".c") else "c++"
            subprocess.run([compiler, "-o", output, SOURCES / source, *options], check=True)
            made[source, options] = output
        return made[source, options]

    return build


@pytest.fixture
def port(authority, start):
    return str(start(servers.s_server(authority.ecdsa)).port)


def seen(argv, handshakes=1, env=None, varies=(), function=None):
    """Runs it without and with the shim: same output, and every handshake is recorded as a success
    without a cause."""
    plain = tracing.run(argv, env=env)
    result = tracing.traced(argv, env=env)
    tracing.compare(plain, result, varies)
    trace = result.trace
    assert [(h.outcome, h.cause) for h in trace.handshakes] == [("ok", "NONE")] * handshakes, (
        result, trace.handshakes)
    assert all(len(h.states) > 3 for h in trace.handshakes)
    if function:
        assert {trace.ops(h)[0].fn for h in trace.handshakes} == {function}
    return plain, trace


@pytest.mark.coverage("the shim left out", "a C program, dlsym", "the comparison fails")
def test_nothing_is_seen_without_the_shim(built, port):
    """The rows below do not pass by themselves."""
    result = tracing.traced(["/usr/bin/env", "-u", "LD_PRELOAD", built("by_dlsym.c", "-ldl"), port, soname()])
    assert "SSL_connect 1, error 0" in result.stdout and not result.trace.handshakes


@pytest.mark.coverage("dlopen and dlsym", "a C program")
def test_dlsym(built, port):
    plain, trace = seen([built("by_dlsym.c", "-ldl"), port, soname()], function="SSL_connect")
    assert "SSL_connect 1, error 0" in plain.stdout
    assert [c.error for c in trace.calls if c.fn == "SSL_get_error"] == ["SSL_ERROR_NONE"]


def test_dlsym_left_alone(built, port):
    """When told so, the shim leaves dlsym alone; the handshake is still recorded by its info callback."""
    command = [built("by_dlsym.c", "-ldl"), port, soname()]
    trace = tracing.traced(command, env={"TLSTALL_REACH": "none"}).trace
    assert "SSL_connect" not in trace.functions()


@pytest.mark.coverage("dlmopen and dlsym", "a C program")
def test_dlmopen(built, port):
    plain, _ = seen([built("by_dlsym.c", "-ldl"), port, soname(), "dlmopen"], function="SSL_connect")
    assert "SSL_connect 1, error 0" in plain.stdout


@pytest.mark.parametrize("mode", [
    pytest.param(mode, marks=pytest.mark.coverage(f"plugin, RTLD_{mode.split('-')[0].upper()}", "a C plugin"))
    for mode in ("local", "global", "deepbind", "deepbind-lazy", "local-lazy")])
def test_plugin(mode, built, port):
    plugin = built("plugin.c", "-shared", "-fPIC", "-lssl")
    plain, _ = seen([built("plugin_host.c", "-ldl"), port, mode, plugin], handshakes=2,
                    function="SSL_connect")
    assert plain.stdout == "0: 1\n1: 1\n"


@pytest.mark.parametrize("mode", ["local", "global", "deepbind-lazy"])
def test_plugin_where_the_program_walks_by_itself(mode, built, port):
    """What tells the shim of loaded objects is libc's function, not the program's of the same name."""
    plugin = built("plugin.c", "-shared", "-fPIC", "-lssl")
    host = built("plugin_host.c", str(SOURCES / "own_walk.c"), "-rdynamic", "-ldl")
    seen([host, port, mode, plugin], handshakes=2, function="SSL_connect")


def test_dlsym_where_the_program_walks_by_itself(built, port):
    program = built("by_dlsym.c", str(SOURCES / "own_walk.c"), "-rdynamic", "-ldl")
    seen([program, port, soname()], function="SSL_connect")


@pytest.mark.parametrize("mode", ["local", "local-lazy"])
def test_library_opened_globally(mode, built, port):
    """The program opens libssl for all; the plugin does not link it."""
    plugin = built("plugin.c", "-shared", "-fPIC")
    assert soname() not in tracing.run(["ldd", plugin]).stdout
    plain, _ = seen([built("plugin_host.c", "-ldl"), port, mode, plugin], handshakes=2, env={"GLOBAL": soname()},
                    function="SSL_connect")
    assert plain.stdout == "0: 1\n1: 1\n"


@pytest.mark.coverage("plugin, dlmopen", "a C plugin")
@pytest.mark.parametrize("mode", ["namespace", "namespace-lazy"])
def test_plugin_in_another_namespace(mode, built, port):
    """It binds to a libssl in that namespace, where there is no preloaded library."""
    plugin = built("plugin.c", "-shared", "-fPIC", "-lssl")
    plain, _ = seen([built("plugin_host.c", "-ldl"), port, mode, plugin], handshakes=2,
                    function="SSL_connect")
    assert plain.stdout == "0: 1\n1: 1\n"


@pytest.mark.coverage("two copies in a process", "C plugins")
@pytest.mark.parametrize("mode", ["local", "global", "deepbind"])
def test_two_copies_in_one_process(mode, built, port, tmp_path):
    """A second libssl, with another soname."""
    path = subprocess.run([CC, "-print-file-name=libssl.so"], capture_output=True, text=True,
                          check=True).stdout.strip()
    name = soname()
    other = name.replace("libssl", "libssx")
    copy = tmp_path / other
    copy.write_bytes(pathlib.Path(path).read_bytes().replace(name.encode() + b"\0",
                                                             other.encode() + b"\0"))
    plugins = [built("plugin.c", "-shared", "-fPIC", "-lssl"),
               built("plugin.c", "-shared", "-fPIC", str(copy), f"-Wl,-rpath,{tmp_path}")]
    assert other in tracing.run(["ldd", plugins[1]]).stdout
    seen([built("plugin_host.c", "-ldl"), port, mode, *plugins], handshakes=4, function="SSL_connect")


OTHER = {"libssl.so.3": "libssl.so.1.1", "libssl.so.1.1": "libssl.so.3", "libssl.so.4": "libssl.so.3"}


@pytest.mark.coverage("two versions in a process", "C plugins")
@pytest.mark.parametrize("mode", ["local", "global", "deepbind"])
def test_two_versions_in_one_process(mode, built, port):
    other = OTHER[soname()]
    roots = pathlib.Path(os.environ.get("TLSTALL_ROOTS", "/var/tmp/tlstall-roots"))
    places = [pathlib.Path("/usr/lib"), roots / "bullseye-amd64/usr/lib",
              tracing.ROOT / "build-matrix/libraries"]
    found = None if suite.EMULATED else next(
        (p for place in places for p in place.glob(f"*/{other}")), None)
    if not found:
        pytest.skip(f"no {other} for this system; make check-matrix installs 1.1")
    plugins = [built("plugin.c", "-shared", "-fPIC", "-lssl"),
               built("plugin.c", "-shared", "-fPIC", str(found), "-Wl,--allow-shlib-undefined")]
    seen([built("plugin_host.c", "-ldl"), port, mode, *plugins], handshakes=4,
         env={"LD_LIBRARY_PATH": str(libraries_of(found, plugins[1]))}, function="SSL_connect")


def libraries_of(libssl, beside):
    """A directory with that libssl and its libcrypto only."""
    directory = beside.with_suffix(".libraries")
    directory.mkdir(exist_ok=True)
    for name in (libssl.name, libssl.name.replace("ssl", "crypto")):
        shutil.copy(libssl.with_name(name), directory)
    return directory


@pytest.mark.coverage("BIO_f_ssl", "a C program")
@pytest.mark.parametrize("how", [[], ["write"]], ids=["BIO_do_handshake", "BIO_write"])
def test_ssl_bio(how, built, port):
    plain, _ = seen([built("ssl_bio.c", "-lssl", "-lcrypto"), port, *how])
    assert "read 1" in plain.stdout


INTERPOSER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int SSL_connect(void *ssl) {
    int (*next)(void *) = dlsym(RTLD_NEXT, "SSL_connect");
    puts("interposed");
    return next(ssl);
}
"""


@pytest.mark.coverage("behind another preload", "a C program")
def test_another_interposer(built, port, tmp_path):
    """It keeps working, and the handshakes behind it are recorded."""
    source, library = tmp_path / "interposer.c", tmp_path / "interposer.so"
    source.write_text(INTERPOSER)
    subprocess.run([CC, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    plugin = built("plugin.c", "-shared", "-fPIC", "-lssl")
    plain, _ = seen([built("plugin_host.c", "-ldl"), port, "global", plugin], handshakes=2,
                    env={"LD_PRELOAD": str(library)}, function="SSL_connect",
                    varies=[(r"tlstall: process \d+: another preloaded library with functions of libssl.*\n", "")])
    assert plain.stdout.count("interposed") == 2


@pytest.mark.coverage("inside libssl", "openssl s_server -www")
def test_s_server_www(authority, start):
    """The same pages, and one handshake for each."""
    answers = []
    for trace in (False, True):
        server = start(servers.s_server(authority.ecdsa, trace=trace))
        answers.append([fetch(server.port) for _ in range(2)])
        server.end()
    assert answers[0] == answers[1] and all("s_server" in page for page in answers[0])
    assert [(h.role, h.outcome, h.cause) for h in server.trace.check().handshakes] == [
        ("server", "ok", "NONE")] * 2
    assert all(h.calls == 1 and len(h.states) > 3 for h in server.trace.handshakes)


def fetch(port):
    """The page that s_server makes, without the lines about this connection."""
    client = tracing.run(["/usr/bin/openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"],
                         stdin="GET / HTTP/1.0\r\n\r\n")
    assert client.status == 0, client
    return "\n".join(line for line in tracing.normalize(client.stdout).splitlines()
                     if not re.search(r"Session-ID|Master-Key|PSK:|^s_server |^ *[0-9a-f]{4} - ", line))


@pytest.mark.coverage("ctypes (libffi)", "python3")
def test_ctypes(port):
    suite.needs("/usr/bin/python3")
    plain, _ = seen(["/usr/bin/python3", CLIENTS / "by_ctypes.py", port, soname()],
                    function="SSL_connect")
    assert "SSL_connect 1 error 0" in plain.stdout


@pytest.mark.coverage("plugin, RTLD_DEEPBIND", "PHP's curl")
def test_php_curl(port):
    suite.needs("/usr/bin/php")
    if "curl" not in tracing.run(["/usr/bin/php", "-m"]).stdout.split():
        suite.lacks("php-curl")
    plain, _ = seen(["/usr/bin/php", CLIENTS / "curl.php", port], function="SSL_connect")
    assert plain.stdout == "answered\n"


@pytest.mark.coverage("dlopen and dlsym", "Qt 6's QSslSocket")
def test_qt(built, port):
    suite.needs("/usr/bin/pkg-config", "/usr/bin/c++")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "Qt6Network"], capture_output=True,
                           text=True)
    if flags.returncode:
        suite.lacks("qt6-base-dev")
    plain, _ = seen([built("qt.cpp", "-fPIC", *flags.stdout.split()), port], function="SSL_connect")
    assert plain.stdout == "encrypted 1\nanswered 1\n"


@pytest.mark.coverage("direct link", "node of Debian")
def test_node(port):
    node = "/usr/bin/node"
    suite.needs(node)
    if "libssl" not in tracing.run(["ldd", node]).stdout:
        pytest.skip("this node brings its own OpenSSL")
    plain, _ = seen([node, CLIENTS / "node.js", port])
    assert plain.stdout.startswith("connected TLSv1.")


@pytest.mark.coverage("direct link", "dig +tls")
def test_dig(port):
    """Over TLS, to a server that never answers: there is nothing but the handshake."""
    suite.needs("/usr/bin/dig")
    if "+[no]tls" not in tracing.run(["/usr/bin/dig", "-h"]).stdout:
        pytest.skip("this dig knows no TLS")
    varies = [(r"^;; (communications error|Connection to|no servers).*\n?", ""), (r"^\n", "")]
    seen(["/usr/bin/dig", "+tls", "+tries=1", "+time=1", "@127.0.0.1", "-p", port, "example.org"],
         varies=varies)


def test_ruby(port):
    suite.needs("/usr/bin/ruby")
    script = ("require 'socket'; require 'openssl';"
              "tls = OpenSSL::SSL::SSLSocket.new(TCPSocket.new('127.0.0.1', ARGV[0].to_i));"
              "tls.connect; puts tls.ssl_version")
    plain, _ = seen(["/usr/bin/ruby", "-e", script, port], function="SSL_connect")
    assert plain.stdout.startswith("TLSv1.")


@pytest.mark.coverage("QUIC objects", "a C client and server")
def test_quic(authority, built):
    probe = subprocess.run([CC, "-fsyntax-only", "-include", "openssl/ssl.h", "-include",
                            "openssl/quic.h", "-x", "c", "-"], text=True, capture_output=True,
                           input="void *f = (void *)SSL_new_listener;")
    if probe.returncode:
        pytest.skip("this OpenSSL serves no QUIC")
    plain, trace = seen([built("quic.c", "-lssl", "-lcrypto", "-lpthread"), authority.ecdsa.cert,
                         authority.ecdsa.key], handshakes=2)
    assert "client: write 1, read 1" in plain.stdout
    assert "server: handshake 1, read 1, write 1" in plain.stdout
    assert {h.role for h in trace.handshakes} == {"client", "server"}


def same_in_each_mode(argv):
    plain = tracing.run(argv)
    assert plain.status == 0, plain
    for mode in "all", "watch", "handshake", "off":
        tracing.compare(plain, tracing.run(argv, env={"LD_PRELOAD": tracing.SHIM, "TLSTALL_MODE": mode}))
    return plain.stdout


OWN = ["-DLINKED", "-fno-builtin", "-ldl"]
LAZY, NOW = ["-Wl,-z,lazy"], ["-Wl,-z,now"]


@pytest.fixture
def own(built):
    """A library with names of OpenSSL's functions and other parameters, and what links it."""
    library = built("own_names.c", "-shared", "-fPIC", "-Wl,-soname,libown.so", *LAZY)
    (library.parent / "libown.so").unlink(missing_ok=True)
    (library.parent / "libown.so").symlink_to(library)
    return [str(library), f"-Wl,-rpath,{library.parent}"]


@pytest.mark.parametrize("bind", [LAZY, NOW], ids=" ".join)
@pytest.mark.parametrize("place", [[], ["-no-pie"], ["-no-pie", "-fno-pie"]], ids=" ".join)
def test_names_of_its_own(bind, place, built, own):
    program = built("own_user.c", "-DPROGRAM", *OWN, *own, *bind, *place)
    assert same_in_each_mode([program]) == "619 2500000000000003 written 622\n1500000000000004, same 1\n"


@pytest.mark.parametrize("options", [LAZY, NOW], ids=" ".join)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside libssl"])
def test_names_of_its_own_in_a_plugin(options, beside, built, own):
    plugin = built("own_user.c", "-shared", "-fPIC", *OWN, *own, *options)
    program = built("own_user.c", "-DPROGRAM", "-ldl")
    same_in_each_mode([program, plugin, *[soname()] * beside])


@pytest.mark.parametrize("options", [LAZY, NOW], ids=" ".join)
@pytest.mark.parametrize("linked", [False, True], ids=["without libssl", "with libssl"])
@pytest.mark.parametrize("opened", [False, True], ids=["not opened", "opened"])
def test_asking_for_names(options, linked, opened, built):
    """A program that asks whether there is an OpenSSL gets the answer that it gets without the shim."""
    program = built("asks.c", "-ldl", *options, *["-Wl,--no-as-needed", "-lssl"] * linked)
    said = same_in_each_mode([program, *[soname()] * opened])
    assert ("SSL_connect: linked" in said) == linked and "SSL_of_nobody: not linked" in said


def test_asking_for_names_of_later_versions(built, tmp_path):
    """A libssl without some of the functions: OpenSSL 1.1.1 had no SSL_CTX_new_ex."""
    library = tmp_path / "libssl.so.0"
    older = built("make.c", "-shared", "-fPIC", "-w", "-DMARK=mark", '-DVERSION="OpenSSL 1.1.1"',
                  "-Wl,-soname,libssl.so.0")
    library.symlink_to(older)
    program = built("asks.c", "-ldl", "-Wl,--no-as-needed", str(library), f"-Wl,-rpath,{tmp_path}", *NOW)
    said = same_in_each_mode([program])
    assert "SSL_connect: linked" in said and "SSL_CTX_new_ex: not linked" in said
