# SPDX-License-Identifier: Apache-2.0
"""Completion: bash, zsh and fish offer what --help lists. Options: tests/checks/help.sh."""
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

import tracing

COMPLETIONS = tracing.ROOT / "tools" / "completions"
CASES = [(["look", "--al"], "--all"), (["expor"], "export"), (["export", "--format", "sq"], "sqlite"),
         (["clean", "--keep-b"], "--keep-bytes"), (["ctl", "1", "handsh"], "handshake"),
         (["env", "--format", "sys"], "systemd"), (["clean", "--outcome", "o"], "ok")]


def shell(name):
    path = shutil.which(name)
    if not path:
        pytest.skip(f"no {name} here")
    return path


def environment(tmp_path):
    return tracing.environment(PATH=f"{tracing.TLSTALL.parent}:/usr/bin:/bin", TERM="dumb",
                               HOME=str(tmp_path), TLSTALL_DIR=str(tmp_path))


def bash_offers(words, tmp_path):
    script = ('. "$0"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _tlstall "$1" "${*: -1}" "${*: -2:1}"; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return subprocess.run([shell("bash"), "-c", script, COMPLETIONS / "tlstall.bash", "tlstall", *words],
                          env=environment(tmp_path), capture_output=True, text=True, check=True)


def fish_offers(words, tmp_path):
    script = f'source {COMPLETIONS}/tlstall.fish; complete -C "$argv[1]"'
    return subprocess.run([shell("fish"), "--no-config", "-c", script, " ".join(["tlstall", *words])],
                          env=environment(tmp_path), capture_output=True, text=True, check=True)


@pytest.mark.parametrize("offers", [bash_offers, fish_offers])
@pytest.mark.parametrize("words, expected", CASES)
def test_offered(offers, words, expected, tmp_path):
    result = offers(words, tmp_path)
    assert result.stderr == ""
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == [expected]


def test_a_format_after_an_equals_sign(tmp_path):
    assert bash_offers(["export", "--format", "=", "pe"], tmp_path).stdout == "perfetto\n"


def test_words_with_slashes(tmp_path):
    result = bash_offers(["report", "/tmp/x/", "--det"], tmp_path)
    assert (result.stdout, result.stderr) == ("--details\n", "")


class Zsh:
    """A shell on a terminal, with the completions."""

    def __init__(self, tmp_path):
        path = shell("zsh")
        pid, self.terminal = pty.fork()
        if not pid:
            os.execve(path, [path, "-f", "-i"], environment(tmp_path))
        self.pid = pid
        self.seen = ""
        os.write(self.terminal, f"PS1='ready> '; fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; "
                                f"compinit -u -D; echo is-$((40 + 2))\n".encode())
        self.wait_for(r"is-42.*ready> ")

    def wait_for(self, pattern):
        """In its output, without cursor movements."""
        deadline = time.monotonic() + tracing.TIMEOUT
        while not re.search(pattern, re.sub(r"[^ -~]", "", self.seen)):
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.terminal], [], [], left)[0], self.seen
            self.seen += os.read(self.terminal, 4096).decode()

    def close(self):
        os.close(self.terminal)  # hangs up
        os.waitpid(self.pid, 0)


def test_zsh(tmp_path):
    zsh = Zsh(tmp_path)
    try:
        for words, expected in CASES:
            zsh.seen = ""
            line = " ".join(["tlstall", *words])
            os.write(zsh.terminal, f"{line}\t".encode())
            zsh.wait_for(re.escape(line[:-len(words[-1])] + expected))
            os.write(zsh.terminal, b"\x15")  # clears the line
    finally:
        zsh.close()


def test_installed(tmp_path):
    subprocess.run(["make", "-s", "-C", tracing.ROOT, "install", f"DESTDIR={tmp_path}", "-o", "all"],
                   capture_output=True, text=True, check=True)
    share = tmp_path / "usr/local/share"
    for place, source in (("bash-completion/completions/tlstall", "tlstall.bash"),
                          ("zsh/site-functions/_tlstall", "_tlstall"),
                          ("fish/vendor_completions.d/tlstall.fish", "tlstall.fish")):
        assert (share / place).read_bytes() == (COMPLETIONS / source).read_bytes()
