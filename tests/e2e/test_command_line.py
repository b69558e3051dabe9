# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common: help, wrong usage, and output that cannot be written."""
import subprocess

import pytest

import tracing
from servers import await_that
from tracing import PROGRAMS, SHIM, TLSTALL, run

COMMANDS = ("run", "ps", "top", "look", "attach", "detach", "stack", "report", "export", "serve", "clean", "check", "ctl",
            "env")


def same_as(wanted, *arguments):
    return repr(run([TLSTALL, *arguments])) == repr(wanted)


def test_help():
    overview = run([TLSTALL, "--help"])
    for same in (["help"], ["-h"], ["help", "help"]):
        assert same_as(overview, *same), same
    for command in COMMANDS:
        wanted = run([TLSTALL, command, "--help"])
        assert wanted.status == 0 and wanted.stdout.startswith(f"Usage: tlstall {command} "), wanted
        assert same_as(wanted, "help", command) and same_as(wanted, command, "-h"), command
    result = run([TLSTALL, "help", "rum"])
    assert (result.status, result.stderr) == (2, "tlstall: unknown command 'rum' (did you mean 'run'?)\n"), result
    result = run([TLSTALL, "help", "foo"])  # not 'top'
    assert (result.status, result.stderr) == (2, "tlstall: unknown command 'foo' (see tlstall --help)\n"), result


@pytest.mark.parametrize("arguments, status, words", [
    ("look 1 2", 2, "give only one process"), ("stack 1 2", 2, "give only one process"),
    ("look /usr/bin/nosuch", 1, "no such process: /usr/bin/nosuch (give its name without a directory)"),
    ("detach 1 2", 2, "give only one process"), ("stack", 2, "no process id given"), ("look", 2, "no process given"),
    ("check 0", 2, "no such process: 0"), ("check 99999999999999999999", 2, "no such process: 99999999999999999999"),
    ("env --dir a", 2, "expected an absolute path"), ("env --dir /\x7f", 2, "/\\x7f cannot be printed"),
    ("top --sort x", 2, "unknown column 'x' (expected pid, command, "), ("run /", 126, "/: Is a directory"),
    ("report /dev/null", 1, "/dev/null is a pipe or a device, not a trace"),
])
def test_wrong(arguments, status, words):
    result = run([TLSTALL, *arguments.split()])
    assert result.status == status and result.stderr.startswith("tlstall: ") and words in result.stderr, result
    assert not result.stdout, result


def test_an_empty_file(directory):
    (directory / "x.tlstall").touch()
    result = run([TLSTALL, "report", directory / "x.tlstall"])
    assert (result.status, result.stdout) == (1, "") and "x.tlstall: empty: it is no trace" in result.stderr, result


@pytest.fixture(name="traced")
def traced_process(directory):
    """One that waits, and has a trace."""
    process = subprocess.Popen([PROGRAMS / "foreign", "lives", "name"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=tracing.environment(LD_PRELOAD=str(SHIM), TLSTALL_DIR=str(directory)))
    assert process.stdout.readline() == b"done\n"
    await_that(lambda: tracing.listed(directory), "its trace")
    yield str(process.pid)
    process.kill()
    process.communicate()


@pytest.mark.parametrize("arguments", ["--help", "--version", "help run", "ps --help", "ps", "env",
                                       "look --all", "stack --all PID", "ctl PID", "check curl", "clean --dry-run DIRECTORY",
                                       "report DIRECTORY", "export --format csv DIRECTORY"])
@pytest.mark.parametrize("output", ["full", "closed"])
def test_output_that_cannot_be_written(traced, directory, arguments, output):
    arguments = arguments.replace("PID", traced).replace("DIRECTORY", str(directory)).split()
    script = '"$@" >/dev/full' if output == "full" else '"$@" >&-'
    result = run(["/bin/sh", "-c", script, "sh", TLSTALL, *arguments], env={"TLSTALL_DIR": str(directory)})
    reason = "No space left on device" if output == "full" else "Bad file descriptor"
    complaints = tracing.complaints(result)
    assert result.status in (1, 2) and len(complaints) == 1 and reason in complaints[0], result


@pytest.mark.parametrize("name, said", [("/dev/full", "/dev/full"), ("-", "standard output")])
def test_run_says_why_its_output_is_incomplete(name, said):
    result = run(["/bin/sh", "-c", '"$@" >/dev/full', "sh", TLSTALL, "run", "-o", name, "--", PROGRAMS / "info_callback"])
    assert result.stderr.endswith(f"tlstall: writing to {said} failed, output is incomplete: No space left on device\n"), result
    assert result.stderr.count("tlstall: ") == 1, result
