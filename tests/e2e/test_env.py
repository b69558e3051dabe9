# SPDX-License-Identifier: Apache-2.0
"""`tlstall env`: its output makes a program traced that something else starts."""
import pytest

import servers
import tracing


def env(*arguments):
    return tracing.run([tracing.TLSTALL, "env", *arguments])


def test_plain_lines_make_a_trace(directory, authority, start):
    server = start(servers.nginx(authority.ecdsa))
    result = env("--dir", str(directory), "--mode", "handshake")
    assert (result.status, result.stderr) == (0, "")
    settings = dict(line.split("=", 1) for line in result.stdout.splitlines())
    assert settings == {"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(directory),
                        "TLSTALL_MODE": "handshake"}
    plain = tracing.run(["/usr/bin/curl", "-sSk", f"https://127.0.0.1:{server.port}/"],
                        env=settings)
    assert (plain.status, plain.stdout, plain.stderr) == (0, "hello\n", "")
    assert len(list(directory.glob("*.tlstall"))) == 1


def test_for_production_without_options():
    assert env().stdout == f"LD_PRELOAD={tracing.SHIM}\nTLSTALL_MODE=watch\n"


@pytest.mark.parametrize("value", ["/plain", "/with space", "/a\"b\\c$d`e"])
def test_a_shell_reads_back_what_was_given(value):
    script = ('eval "$("$0" env --shim /shim.so --format shell --dir "$1" | grep DIR)"; '
              'printf %s "$TLSTALL_DIR"')
    result = tracing.run(["/bin/sh", "-c", script, tracing.TLSTALL, value])
    assert (result.stdout, result.stderr) == (value, "")


def test_systemd_lines_are_quoted():
    result = env("--shim", "/shim.so", "--format", "systemd", "--dir", '/a "b" 100%')
    assert result.stdout.splitlines() == [
        'Environment="LD_PRELOAD=/shim.so"', 'Environment="TLSTALL_DIR=/a \\"b\\" 100%%"',
        'Environment="TLSTALL_MODE=watch"']


@pytest.mark.parametrize("name", ["a b", "a:b"])
def test_shim_that_the_loader_cannot_find(name, directory):
    """run, env and check agree: the loader would split its path."""
    (directory / name).mkdir()
    tool = tracing.copy_products(directory / name)
    shown = tracing.run([tool, "env"])
    assert (shown.status, shown.stdout) == (1, "") and "(move it)" in shown.stderr, shown
    answer = tracing.run([tool, "check", "/usr/bin/curl"])
    assert answer.status == 1 and "shim-unreadable: the shim is " in answer.stdout, answer
    ran = tracing.run([tool, "run", "--", "/bin/echo", "ran"])
    assert (ran.status, ran.stdout) == (0, "ran\n") and "(move it); the program runs untraced" in ran.stderr, ran


@pytest.mark.parametrize("arguments, words", [
    (("--mode", "sometimes"), "sometimes"), (("--size", "1K"), "256K"), (("--dir", "here"), "here"),
    (("--mdoe", "all"), "--mode"), (("--mode",), "--mode"), (("--format", "yaml"), "systemd"),
    (("extra",), "extra"), (("--shim", "/a b/shim.so"), "space"), (("--shim", "/a:b/shim.so"), "colon")])
def test_wrong_usage(arguments, words):
    result = env(*arguments)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("tlstall: ") and words in result.stderr
