# SPDX-License-Identifier: Apache-2.0
"""Fixtures, and the counts for tests/run-all."""
import os
import pathlib
import shutil
import tempfile

import pytest

import network
import peer
import pki
import servers


def pytest_terminal_summary(terminalreporter):
    """Once, where the workers' reports come together."""
    stats = terminalreporter.stats
    counts = [sum(len(stats.get(kind, ())) for kind in kinds)
              for kinds in (("passed",), ("failed", "error"), ("skipped",))]
    if path := os.environ.get("TLSTALL_COUNTS"):
        pathlib.Path(path).write_text("{} {} {}\n".format(*counts))


@pytest.fixture(scope="session")
def shared_directory():
    """One that servers running as other users may search."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def authority(shared_directory):
    directory = shared_directory / "pki"
    directory.mkdir()
    return pki.Authority(directory)


@pytest.fixture(scope="session")
def cluster(shared_directory):
    return servers.PostgresCluster(shared_directory)


@pytest.fixture
def start():
    """start(server) for anything with close() or stop(); all are ended after the test."""
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
    """make_network(...): a network.Network; its end is seen to."""
    if reason := network.why_not():
        pytest.skip(reason)
    made = []

    def make(**properties):
        made.append(network.Network(**properties))
        return made[-1]

    yield make
    for each in made:
        each.close()
