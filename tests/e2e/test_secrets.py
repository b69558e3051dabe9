# SPDX-License-Identifier: Apache-2.0
"""No secret is in a trace: no key, ticket or byte of payload, whatever is recorded. Nor is anything that
TLSTALL_PRIVACY names."""
import json

import pytest

import tracing
from tracing import PROGRAMS, SHIM, TLSTALL

WINDOW = 8
MODES = ("all", "watch", "handshake")


def windows(data):
    return {data[i:i + WINDOW] for i in range(len(data) - WINDOW + 1)}


def found(directory, secrets):
    """Parts of secrets that occur anywhere in a trace."""
    wanted = set().union(*map(windows, secrets))
    assert wanted, "nothing is secret"
    return {window for trace in directory.glob("*.tlstall") for window in windows(trace.read_bytes()) & wanted}


def run(directory, *arguments, program="secrets", **settings):
    secrets, traces = directory / "secrets", directory / "traces"
    traces.mkdir(mode=0o700)
    environment = {"LD_PRELOAD": str(SHIM), "TLSTALL_DIR": str(traces), "TLSTALL_STACKS": "on",
                   **{f"TLSTALL_{name}": value for name, value in settings.items()}}
    result = tracing.run([PROGRAMS / "harm" / program, secrets, *arguments], env=environment)
    assert (result.status, result.stdout) == (0, "10 handshakes\n"), result
    return traces, [bytes.fromhex(line) for line in secrets.read_text().split() if line]


def handshakes(traces):
    shown = tracing.run([TLSTALL, "report", "--format", "jsonl", traces])
    assert shown.status == 0, shown
    return [record for record in map(json.loads, shown.stdout.splitlines()) if record["type"] == "handshake"]


@pytest.mark.parametrize("mode", MODES)
def test_no_secret_is_recorded(directory, mode):
    traces, secrets = run(directory, MODE=mode, SAMPLE="3")
    assert len(secrets) > 60 and len(handshakes(traces)) >= 20
    assert not found(traces, secrets)


def test_one_that_is_planted_is_found(directory):
    """Without this, the test above proves nothing."""
    traces, secrets = run(directory, "plant")
    assert found(traces, secrets) == {secrets[0][13:13 + WINDOW]}


# ---- what is omitted -------------------------------------------------------------------

NAME = b"name.example"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("privacy", ["none", "peer", "sni", "stacks", "peer,sni,stacks"])
def test_what_is_left_out(directory, mode, privacy):
    traces, _ = run(directory, MODE=mode, SAMPLE="1", PRIVACY=privacy)
    left_out, shown = privacy.split(","), handshakes(traces)
    assert any(h.get("peer") for h in shown) != ("peer" in left_out)
    assert any(h.get("stack") for h in shown) != ("stacks" in left_out)
    assert any(h.get("sni") for h in shown) != ("sni" in left_out)
    assert any(NAME in trace.read_bytes() for trace in traces.glob("*.tlstall")) != ("sni" in left_out)


def test_it_is_said(directory):
    shown = tracing.run([TLSTALL, "run", "-c", "--", PROGRAMS / "bio_pair"], env={"TLSTALL_PRIVACY": "peer,stacks"})
    assert "left out of its trace by TLSTALL_PRIVACY: peer, stacks\n" in shown.stderr, shown
