# SPDX-License-Identifier: Apache-2.0
"""A trace directory on a file system that hangs: the program does not hang."""
import os

import pytest

import hanging
import tracing
from tracing import PROGRAMS, SHIM

HARM = PROGRAMS / "harm"
KILLED = 128 + 9


@pytest.fixture
def place(directory):
    """Where the file system is mounted, in the program's own namespace."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("/dev/fuse is not there")
    if os.getuid() != 0 or tracing.run(["unshare", "-m", "true"]).status:
        pytest.skip("mount namespaces need more rights")
    place = directory / "hangs"
    place.mkdir()
    return place


def run(when, place, argv, **settings):
    environment = [f"{name}={value}" for name, value in {"LD_PRELOAD": SHIM, **settings}.items()]
    result = tracing.run(["unshare", "-m", "/usr/bin/python3", hanging.__file__, when, place, "env", *environment,
                          *argv])
    if result.status == hanging.CANNOT:
        pytest.skip("FUSE cannot be mounted here")
    return result


def notes(directory):
    return [path.name.partition(".failed-")[2] for path in directory.glob("*.failed-*")]


def test_file_system_does_hang(place):
    """Without this, the other tests prove nothing."""
    assert run("now", place, ["timeout", "-s", "KILL", "1", "ls", place]).status == KILLED


@pytest.mark.parametrize("way", ["itself", "below", "link", "link_in_the_middle", "up"])
def test_directory_hangs(place, directory, way):
    (directory / "link").symlink_to("hangs")
    named = {"itself": place, "below": place / "a" / "b", "link": directory / "link",
             "link_in_the_middle": directory / "link" / "a", "up": directory / "link" / ".." / "hangs" / "a"}[way]
    result = run("now", place, [PROGRAMS / "bio_pair"], TLSTALL_DIR=named, XDG_RUNTIME_DIR=directory)
    tracing.compare(tracing.run([PROGRAMS / "bio_pair"]), result)
    assert notes(directory / "tlstall") == ["REMOTE"]


def test_default_directory_hangs(place):
    """There is no place left for a note: the program runs anyway."""
    result = run("now", place, [PROGRAMS / "bio_pair"], XDG_RUNTIME_DIR=place)
    tracing.compare(tracing.run([PROGRAMS / "bio_pair"]), result)


@pytest.mark.parametrize("keep", ["all", "none"])
def test_directory_hangs_later(place, directory, keep):
    """At exit, and when the next program after an exec makes its own trace."""
    settings = {"TLSTALL_DIR": place, "TLSTALL_KEEP": keep, "XDG_RUNTIME_DIR": directory}
    result = run("later", place, [HARM / "exec_later"], **settings)
    assert (result.status, result.stdout) == (0, "first\nsecond\n"), result
    assert notes(directory / "tlstall") == ["REMOTE"]
    assert [name.endswith(".tlstall") for name in tracing.listed(place)] == [True]


def test_removing_at_the_exit(place, directory):
    settings = {"TLSTALL_DIR": place, "TLSTALL_KEEP": "none", "XDG_RUNTIME_DIR": directory}
    result = run("later", place, [HARM / "loop", "1"], **settings)
    assert (result.status, result.stdout) == (0, "begun\nok\n"), result


def test_told_otherwise(place, directory):
    """Then the directory is used, and the program waits."""
    command = ["timeout", "-s", "KILL", "2", PROGRAMS / "bio_pair"]
    result = run("now", place, command, TLSTALL_DIR=place, TLSTALL_REMOTE="on", XDG_RUNTIME_DIR=directory)
    assert result.status in (137, -9), result
