# SPDX-License-Identifier: Apache-2.0
"""Stalls caused by the program: its event loop, its BIOs, its use of SSL_get_error."""
import re
import signal
import time

import peer
import servers
import stalls
from stalls import PYTHON, ending, hanging, reproduction

PERL = "/usr/bin/perl"


def client(name):
    return stalls.CLIENTS / name


def program(name, *arguments):
    return [stalls.STALLS / name, *arguments]


def silent(start, behave=peer.silent_after_hello):
    return start(peer.Peer(behave)).port


def good(authority, start):
    return start(servers.nginx(authority.ecdsa)).port


def unhurried(authority, start):
    """A good server behind a relay, so that no part of its answer is there before the client asks for it."""
    return start(peer.Peer(peer.relay(good(authority, start), peer.late(0.1)))).port


# ---- event loops ----------------------------------------------------------------


def check_ready(seen, at_least):
    for record in seen.records():
        assert record.time["gap_ready_ns"] > at_least, record
        assert "were unread in the socket" in "\n".join(record.evidence), record
    return seen


def hanging_ready(argv, which=lambda record: True):
    """Hangs until data has been waiting longer than required, however late the server was."""
    return check_ready(hanging(argv, lambda r: which(r) and r.time["gap_ready_ns"] > 1.3e9), 1e9)


@reproduction("APP_NOT_RESUMING", "program", "a C program", "after WANT_READ it does something else")
def test_not_resuming(authority, start):
    return hanging_ready(program("not_resuming", unhurried(authority, start)))


@reproduction("APP_NOT_RESUMING", "program", "a C program", "it comes back 1.5 s late")
def test_resuming_late(authority, start):
    seen = ending(program("not_resuming", unhurried(authority, start), "1500"), lambda r: r.calls > 1)
    assert seen.final.outcome == "ok" and seen.final.time["gap_ready_ns"] > 1.2e9
    return check_ready(seen, 1.2e9)


@reproduction("APP_NOT_RESUMING", "program", "python3, select()", "its loop is busy for 1.6 s each time")
def test_python_busy(authority, start):
    seen = ending([PYTHON, client("nonblocking.py"), unhurried(authority, start), "busier"])
    assert seen.final.outcome == "ok"
    return check_ready(seen, 1.2e9)


@reproduction("APP_NOT_RESUMING", "program", "curl", "the program itself is stopped with SIGSTOP")
def test_stopped(authority, start):
    port = start(peer.Peer(peer.silent_after_hello)).port
    with stalls.Traced(["/usr/bin/curl", "-sSk", f"https://localhost:{port}/"]) as traced:
        traced.hangs(seconds=0.3)
        stalls.os.kill(traced.target(), signal.SIGSTOP)
        live = traced.hangs(lambda r: r.cause == "APP_NOT_RESUMING")
        trace = traced.end()
        return stalls.Seen(live, trace.only(), trace)


def check_nested(seen):
    for record in seen.records():
        assert "which waits for other descriptors only" in "\n".join(record.evidence), record
        assert record.confidence == "medium", record
    return seen


@reproduction("APP_NOT_RESUMING", "program", "a C program, epoll",
              "its loop waits for the socket, and the thread is in another loop inside of that")
def test_nested_loop(authority, start):
    return check_nested(hanging_ready(program("nested_loop", unhurried(authority, start))))


@reproduction("APP_NOT_RESUMING", "program", "a C program, epoll", "the same, and the other loop calls poll()")
def test_nested_poll(authority, start):
    return check_nested(hanging_ready(program("nested_loop", unhurried(authority, start), "poll")))


@reproduction("APP_NOT_RESUMING", "program", "node", "it awaits a child process with execSync")
def test_node_exec_sync(authority, start):
    script = f"""require("tls").connect({{port: {unhurried(authority, start)}, rejectUnauthorized: false}})
setTimeout(() => require("child_process").execSync("sleep 60"), 50)"""
    return check_nested(hanging_ready(["/usr/bin/node", "-e", script]))


@reproduction("WRONG_INTEREST", "program", "a C program, epoll", "it waits for writable after WANT_READ")
def test_wrong_interest(authority, start):
    return hanging_ready(program("wrong_interest", unhurried(authority, start)))


@reproduction("WRONG_INTEREST", "program", "a C program, epoll",
              "the same, while it serves other connections")
def test_wrong_interest_among_others(authority, start):
    return hanging_ready(program("wrong_interest", unhurried(authority, start), "others"), lambda r: r.calls == 1)


def gil(authority, start, *arguments):
    # the answer arrives when the other thread certainly has the lock
    return [PYTHON, client("gil.py"), unhurried(authority, start), *arguments]


@reproduction("APP_NOT_RESUMING", "program", "python3, a socket with a timeout",
              "another thread keeps the GIL in a regular expression")
def test_gil_pattern(authority, start):
    return hanging_ready(gil(authority, start, "timeout", "pattern"))


@reproduction("APP_NOT_RESUMING", "program", "python3, a socket with a timeout",
              "another thread keeps the GIL in a call to C for 3 s")
def test_gil_call(authority, start):
    seen = ending(gil(authority, start, "timeout", "3"))
    assert seen.final.outcome == "ok" and seen.final.time["cpu_ns"] < 0.1e9, seen.final
    return check_ready(seen, 1.2e9)


SPIN_SECONDS = 0.7  # enough for a verdict: each call is a record to read
ROOM = {"TLSTALL_SIZE": "64M"}  # for all events, in case the reader gets no CPU time for a while


def check_spin(seen):
    for record in seen.records():
        assert record.calls > 1000 and record.want_read > 0.9 * record.calls, record
    return seen


@reproduction("BUSY_SPIN", "program", "a C program", "it calls again at once, over a round trip of 0.4 s")
def test_spin(authority, start, make_network):
    net = make_network(delay=0.2)
    server = start(servers.nginx(authority.ecdsa, within=net.far))
    seen = check_spin(ending(program("spin", server.port), within=net.near, env=ROOM))
    assert "calls in a row" in seen.evidence() and seen.final.outcome == "ok"
    return seen


@reproduction("PEER_SILENT", "peer", "a C program", "the server is silent, the client calls again at once",
              also="BUSY_SPIN")
def test_spin_at_silence(start):
    return check_spin(hanging(program("spin", silent(start)), seconds=SPIN_SECONDS, env=ROOM))


@reproduction("PEER_SILENT", "peer", "wrk", "the server is silent, wrk calls again at once",
              also="BUSY_SPIN")
def test_wrk_spins(start):
    return check_spin(hanging(["/usr/bin/wrk", "-t1", "-c1", "-d9s",
                               f"https://127.0.0.1:{silent(start)}/"], seconds=SPIN_SECONDS, env=ROOM))


# ---- memory BIOs and BIO pairs ------------------------------------------------------


@reproduction("BIO_NOT_PUMPED", "program", "a C program, memory BIO", "what OpenSSL wrote is never sent")
def test_memory_not_sent(start):
    seen = hanging(program("bio_not_flushed", silent(start, peer.silent_after_accept)))
    assert "are still in the BIO" in seen.evidence()
    return seen


@reproduction("BIO_NOT_PUMPED", "program", "python3, ssl.MemoryBIO", "what it holds is never sent")
def test_python_not_sent(start):
    seen = hanging([PYTHON, client("not_sent.py"), silent(start, peer.silent_after_accept)])
    assert "517 B of 517 B" in seen.evidence()
    return seen


@reproduction("BIO_NOT_PUMPED", "program", "a C program, BIO pair", "the pair is full and not emptied")
def test_pair_full(start):
    seen = hanging(program("pair_not_flushed", silent(start, peer.silent_after_accept)))
    assert "100 B wait to be taken out" in seen.evidence()
    return seen


@reproduction("PEER_SILENT", "peer", "a C program, BIO pair", "it is emptied in time; the server is silent")
def test_starved(start):
    seen = hanging(program("starved", silent(start)))
    assert seen.final.confidence == "medium" and "BIO_STARVED" in seen.final.not_told_from
    return seen


@reproduction("APP_NOT_RESUMING", "program", "python3, ssl.MemoryBIO",
              "another thread keeps the GIL in a regular expression")
def test_gil_memory(authority, start):
    seen = hanging(gil(authority, start, "memory", "pattern"))
    # only the program knows its socket, but the only one that can be it has an answer that it does not read
    assert "carried exactly its bytes has" in seen.evidence() and "is in futex" in seen.evidence()
    return seen


# ---- misuse of SSL_get_error -----------------------------------------------------------


@reproduction("STALE_ERROR_QUEUE", "program", "a C program", "a missing file leaves an entry in the error queue")
def test_stale_queue(start):
    return ending(program("stale_queue", silent(start)))


@reproduction("STALE_ERROR_QUEUE", "program", "perl, Net::SSLeay", "missing CA files leave entries in the error queue")
def test_perl_stale_queue(start):
    return ending([PERL, client("queue.pl"), silent(start)])


@reproduction("GET_ERROR_MISUSE", "program", "a C program", "it passes 1 to SSL_get_error and takes the handshake for finished")
def test_wrong_return(start):
    seen = hanging(program("misuse", "ok", silent(start)))
    assert "not the call's return" in seen.evidence()
    return seen


@reproduction("GET_ERROR_MISUSE", "program", "a C program", "it calls SSL_get_error after a call on another object failed")
def test_other_object(start):
    seen = ending(program("misuse", "other", silent(start), silent(start, peer.plain_text)),
                  lambda r: r.outcome == "abandoned")
    assert "another SSL object" in seen.evidence()
    return seen


@reproduction("WANT_TREATED_AS_FATAL", "program", "a C program", "it frees the object at WANT_READ")
def test_want_fatal(start):
    return ending(program("want_fatal", silent(start)))


@reproduction("WANT_TREATED_AS_FATAL", "program", "python3", "it takes SSLWantReadError for a failure")
def test_python_want_fatal(start):
    return ending([PYTHON, client("nonblocking.py"), silent(start), "fatal"])


@reproduction("WANT_FLAG_MISMATCH", "program", "a C program", "its filter BIO forgets the retry flags")
def test_filter_bio(start):
    return ending(program("filter_bio", silent(start)))


@reproduction("BLOCKING_WANT", "program", "a C program", "a signal interrupts the blocking call")
def test_interrupted(start):
    seen = hanging(program("interrupted", silent(start)))
    assert "EINTR" in seen.evidence()
    return seen


@reproduction("BLOCKING_WANT", "program", "perl, IO::Socket::SSL", "SO_RCVTIMEO runs out")
def test_perl_timeout(start):
    seen = ending([PERL, client("timeout.pl"), silent(start)])
    assert "own timeout ran out" in seen.evidence() and seen.final.duration_ns > 0.65e9
    return seen


# ---- two at once ----------------------------------------------------------------


def late_answer(authority, start, seconds):
    """A server behind a relay that starts forwarding this late."""

    def forward(connection, upstream):
        data = upstream.recv(65536)
        time.sleep(seconds)
        connection.sendall(data)
        peer._copy(upstream, connection)

    return start(peer.Peer(peer.relay(good(authority, start), forward))).port


@reproduction("PEER_SILENT", "peer", "python3, select()",
              "the server answers after 2 s, the client comes back 0.8 s later", also="APP_NOT_RESUMING")
def test_both_late(authority, start):
    seen = ending([PYTHON, client("nonblocking.py"), late_answer(authority, start, 2), "busy"])
    assert seen.final.outcome == "ok"
    waiting, ready = (seen.final.time[name] for name in ("gap_waiting_ns", "gap_ready_ns"))
    assert waiting > 1.2e9 and ready > 0.7e9 and waiting + ready <= seen.final.duration_ns
    return seen


@reproduction("APP_NOT_RESUMING", "program", "python3, select()",
              "the client comes back 2.6 s late, the server answers after 1.2 s", also="PEER_SILENT")
def test_program_later(authority, start):
    seen = ending([PYTHON, client("nonblocking.py"), late_answer(authority, start, 1.2), "busier"])
    assert 2.5e9 < seen.final.time["gap_ready_ns"] <= seen.final.duration_ns - 0.6e9
    return seen


# ---- beginning and end --------------------------------------------------------------------


@reproduction("LATE_START", "program", "python3", "2 s pass between the connection and the handshake")
def test_late_start(authority, start):
    seen = ending([PYTHON, client("nonblocking.py"), good(authority, start), "late"])
    assert seen.final.outcome == "ok" and re.search(r"\b2(\.\d\d?)? s passed", seen.evidence())
    return seen


@reproduction("ABANDONED", "program", "curl", "its own time limit of 0.2 s runs out")
def test_abandoned(start):
    seen = ending(["/usr/bin/curl", "-sSk", "-m", "0.2", f"https://localhost:{silent(start)}/"])
    assert seen.final.outcome == "abandoned" and 0.1e9 < seen.final.duration_ns < 1e9
    return seen


@reproduction("RENEGOTIATION_STALL", "program", "a C program", "the server asks for it, the client forgets it")
def test_renegotiation(start):
    return hanging(program("renegotiation"), lambda r: r.role == "client")


@reproduction("POST_HANDSHAKE_READ_BLOCK", "program", "python3, select()",
              "SSL_read finds session tickets only, and waits")
def test_read_block(authority, start):
    seen = hanging([PYTHON, client("nonblocking.py"), good(authority, start), "read"],
                   lambda r: r.outcome == "ok" and stalls.judged(r), seconds=0)
    assert seen.final.outcome == "ok" and seen.final.version == "TLSv1.3"
    assert "were read since, none are unread" in seen.evidence()
    return seen
