# SPDX-License-Identifier: Apache-2.0
"""Ways of linking that decide whether a program is seen: those that are seen, and those for which
nothing is recorded and `tlstall check` says why."""
import os
import shutil

import pytest

import servers
import suite
import test_check
import test_reach
import tracing

coverage = pytest.mark.coverage
built, port, directory = test_reach.built, test_reach.port, test_check.directory
PLUGIN = str(test_reach.SOURCES / "plugin.c")


def static_libraries():
    """For libssl; what libcrypto.a itself needs differs between versions."""
    needed = [f"-l:{name}" for name in ("libz.so.1", "libzstd.so.1") if suite.has_library(name)]
    return ["-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic", *needed, "-ldl", "-lpthread"]


@coverage("direct link", "a C program")
def test_direct(built, port):
    test_reach.seen([built("linked.c", PLUGIN, "-lssl"), port], function="SSL_connect")


@coverage("transitive", "a C program by a library")
def test_transitive(built, port):
    library = built("plugin.c", "-shared", "-fPIC", "-lssl")
    test_reach.seen([built("linked.c", str(library)), port], function="SSL_connect")


def test_plugin_opened_in_a_constructor(built, port):
    """It binds to its own libssl, and is noticed before our constructor has run."""
    plugin = built("plugin.c", "-shared", "-fPIC", "-lssl")
    library = built("early.c", "-shared", "-fPIC", "-ldl")
    test_reach.seen([built("linked.c", str(library)), port], env={"PLUGIN": str(plugin)},
                    function="SSL_connect")


@pytest.mark.parametrize("options", [("-fsanitize=address", "-static-libasan"), ("-fsanitize=thread",)],
                         ids=lambda options: options[0].split("=")[1])
def test_sanitizers(options, built, port):
    """Their runtime looks up functions, and has replaced libc's, before any of these can be called."""
    program = built("linked.c", PLUGIN, "-lssl", *options)
    test_reach.seen([program, port], env={"ASAN_OPTIONS": "detect_leaks=0"}, function="SSL_connect")


def unseen(argv, reason):
    """Nothing is recorded, the user sees no difference, and `check` says why."""
    plain = tracing.run(argv)
    result = tracing.traced(argv)
    assert plain.stdout and result.stdout == plain.stdout and result.status == plain.status == 0
    assert result.trace.handshakes == [], result
    answer = test_check.Answer(argv[0])
    assert not answer.seen and reason in answer.reasons, answer
    return answer.words


@coverage("secure execution (setuid)", "curl", "said: secure-execution")
def test_setuid(directory, port):
    suite.needs("/usr/bin/curl")
    if suite.EMULATED:
        pytest.skip("qemu-user runs setuid programs as any other")
    program = directory / "curl"
    shutil.copy("/usr/bin/curl", program)
    if os.geteuid() != 0 or not test_check.honors_setuid(program):
        pytest.skip("no setuid program can be made here")
    shutil.chown(program, "nobody")
    program.chmod(0o4755)
    unseen([program, "-ks", "-o", "/dev/null", "-w", "%{http_code}", f"https://127.0.0.1:{port}/"],
           "secure-execution")


@coverage("GnuTLS", "wget", "said: other-tls")
def test_gnutls(authority, start):
    suite.needs("/usr/bin/wget")
    server = start(servers.nginx(authority.ecdsa))
    words = unseen(["/usr/bin/wget", "-qO-", "--ca-certificate", authority.ca,
                    f"https://localhost:{server.port}/"], "other-tls")
    assert "GnuTLS" in words
