# SPDX-License-Identifier: Apache-2.0
"""What tlstall records, compared with what a debugger sees in the same run."""
import json
import pathlib

import peer
import servers
import tracing

ERRORS = ["SSL_ERROR_" + name for name in (
    "NONE", "SSL", "WANT_READ", "WANT_WRITE", "WANT_X509_LOOKUP", "SYSCALL", "ZERO_RETURN")]
SCRIPT = pathlib.Path(__file__).with_name("debugger.py")


def debugged(argv, tmp_path):
    """Runs it under gdb under tlstall; the calls that gdb saw, and the trace."""
    output = tmp_path / "calls.json"
    result = tracing.traced(["/usr/bin/gdb", "-nx", "-batch", "-x", SCRIPT, "--args", *argv],
                            env={"DEBUGGER_OUTPUT": str(output)})
    assert output.exists(), result
    return json.loads(output.read_text()), result.trace


def check(calls, trace, least):
    """The calls that the program made, in order: function, argument, answer."""
    seen = []
    for call in (c for c in calls if c["library"] == "shim"):
        if call["fn"] == "SSL_get_error":
            seen.append((call["fn"], call["argument"], ERRORS[call["ret"]]))
        else:
            seen.append((call["fn"], None, call["ret"]))
    recorded = [(c.fn, c.arg_ret, c.error if c.fn == "SSL_get_error" else c.ret)
                for c in trace.calls if c.fn in ("SSL_connect", "SSL_get_error")]
    assert recorded == seen
    assert len(seen) >= least, "nothing to compare"
    # And the shim returns what libssl returned.
    assert ([c["ret"] for c in calls if (c["library"], c["fn"]) == ("libssl", "SSL_connect")]
            == [ret for fn, _, ret in seen if fn == "SSL_connect"])


def test_curl_that_succeeds(authority, start, tmp_path):
    server = start(servers.nginx(authority.ecdsa))
    far = start(peer.Peer(peer.relay(server.port, peer.late(0.2))))
    calls, trace = debugged(["/usr/bin/curl", "-sS", "--cacert", authority.ca, "-o", "/dev/null",
                             f"https://localhost:{far.port}/"], tmp_path)
    assert trace.only().outcome == "ok"
    check(calls, trace, 3)


def test_curl_that_gives_up(start, tmp_path):
    silent = start(peer.Peer(peer.silent_after_hello))
    calls, trace = debugged(["/usr/bin/curl", "-sS", "-k", "--max-time", "3",
                             f"https://localhost:{silent.port}/"], tmp_path)
    assert trace.only().outcome == "abandoned"
    check(calls, trace, 2)
