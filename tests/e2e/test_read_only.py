# SPDX-License-Identifier: Apache-2.0
"""report, ps and check write no files, run no programs, and send no signals."""
import re
import shutil
import subprocess

import pytest

import tracing
from test_harm_trace import environment
from tracing import PROGRAMS, TLSTALL

CHANGES = "unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat,truncate,ftruncate," \
          "chmod,fchmod,fchmodat,chown,fchown,fchownat,mknod,mknodat,execve,execveat,kill,tkill,tgkill,ptrace," \
          "process_vm_writev"


@pytest.mark.parametrize("command", ["report", "ps", "check"])
def test_nothing_is_changed(directory, command):
    if not shutil.which("strace"):
        pytest.skip("strace is not there")
    log = directory / "log"
    traces = directory / "traces"
    with subprocess.Popen([PROGRAMS / "harm" / "exec_later"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=tracing.environment(**environment(traces))) as process:
        assert process.stdout.readline() == "first\n"
        what = process.pid if command == "check" else traces
        arguments = [command] if command == "ps" else [command, what]
        result = tracing.run(["strace", "-f", "-qq", "-o", log, "-e", f"trace=open,openat,creat,{CHANGES}", TLSTALL,
                              *arguments], env={"TLSTALL_DIR": str(traces)})
        process.kill()
    if "ptrace" in result.stderr:
        pytest.skip("strace may not trace here")
    assert result.status == 0 and result.stdout, result
    made = [line for line in log.read_text().splitlines() if re.search(r"^\d+ +\w+\(", line)]
    assert sum("execve(" in line for line in made) == 1, made  # strace's own, which starts the tool
    opened = [line for line in made if re.search(r"^\d+ +open(at)?\(", line)]
    assert len(opened) > 3 and not [line for line in opened if re.search("O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", line)]
    others = [line for line in made if line not in opened and "execve(" not in line]
    assert not [line for line in others if not re.search(r"\bkill\(\d+, 0\)", line)], others
