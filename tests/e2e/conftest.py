# SPDX-License-Identifier: Apache-2.0
"""Fixtures, the counts for tests/run-all, and the results for doc/COVERAGE.md."""
import json
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

import network
import peer
import pki
import servers


def pytest_terminal_summary(terminalreporter):
    """Once, in the process that collects the workers' reports."""
    stats = terminalreporter.stats
    counts = [sum(len(stats.get(kind, ())) for kind in kinds)
              for kinds in (("passed",), ("failed", "error"), ("skipped",))]
    if path := os.environ.get("TLSTALL_COUNTS"):
        pathlib.Path(path).write_text("{} {} {}\n".format(*counts))
    if path := os.environ.get("TLSTALL_RESULTS"):
        pathlib.Path(path).write_text(json.dumps(results(stats), indent=1) + "\n")


def pytest_configure(config):
    # background jobs ignore these signals, and so would every program that a test starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.addinivalue_line("markers", "coverage(way, program, answer='seen'): "
                            "a cell of doc/COVERAGE.md, and what it says when the test passes")


def pytest_collection_modifyitems(items):
    """Properties reach the process that writes the results; marks do not."""
    for item in items:
        for mark in item.iter_markers("coverage"):
            item.user_properties.append(("coverage", [*mark.args, "seen"][:3]))


def results(stats):
    """For every test with the mark: its way, program, answer, and how it ended."""
    found = []
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in stats.get(outcome, ()):
            for name, (way, program, answer) in report.user_properties:
                reason = report.longrepr[2] if outcome == "skipped" else ""
                found.append({"test": report.nodeid, "way": way, "program": program, "answer": answer,
                              "outcome": outcome, "reason": reason.removeprefix("Skipped: ")})
    return {"suite": os.environ.get("TLSTALL_MATRIX", ""), "results": found}


@pytest.fixture(scope="session", autouse=True)
def temporary_directory(tmp_path_factory):
    """Of all directories that this process makes for its tests: root searches /tmp/tlstall-* for traces, and must not find
    those of a test that runs at the same time."""
    tmp_path_factory.getbasetemp()  # stays outside, with what pytest keeps of failed tests
    tempfile.tempdir = tempfile.mkdtemp(prefix="test-tlstall-")
    os.chmod(tempfile.tempdir, 0o711)  # for servers that run as another user
    yield
    shutil.rmtree(tempfile.tempdir, ignore_errors=True)
    tempfile.tempdir = None


@pytest.fixture(scope="session")
def shared_directory(temporary_directory):  # pylint: disable=unused-argument
    """A directory that servers running as other users may search."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def directory():
    """Each test has its own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def authority(shared_directory):
    directory = shared_directory / "pki"
    directory.mkdir()
    return pki.Authority(directory)


@pytest.fixture(scope="session")
def cluster(shared_directory):
    return servers.PostgresCluster(shared_directory)


@pytest.fixture
def start(directory):  # pylint: disable=unused-argument
    """start(server) for anything with close() or stop(); all are stopped after the test, and before the test's
    directory is removed, to which they may write."""
    started = []

    def remember(server):
        started.append(server)
        return server

    yield remember
    for server in reversed(started):
        if isinstance(server, peer.Peer):
            server.close()
        else:
            server.stop()


@pytest.fixture
def make_network(start):
    """make_network(...): a network.Network, removed after the test."""
    if reason := network.why_not():
        pytest.skip(reason)
    made = []

    def make(**properties):
        made.append(network.Network(**properties))
        return made[-1]

    yield make
    for each in made:
        each.close()
