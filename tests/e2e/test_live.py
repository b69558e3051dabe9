# SPDX-License-Identifier: Apache-2.0
"""ps, top, stack and ctl, on programs that are really stuck in a handshake."""
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading

import pytest

import peer
import servers
import tracing
from servers import await_that
from told import Screen
from tracing import SHIM, TLSTALL, run

CLIENTS = pathlib.Path(__file__).parent / "clients"
ROW = re.compile(r"^ *(?P<pid>\d+) (?P<comm>\S+) +(?P<peer>\S+) +(?P<sni>\S+) +(?P<state>.+?)  *"
                 r"(?P<age>[\d.]+ \w+( \d+ s)?) +(?P<retry>\d+) (?P<cause>[A-Z_]+) +(?P<fault>\w+)$")


class Traced:
    """A program with the shim, as a service would start it; its traces go to `directory`."""

    def __init__(self, argv, directory, shim=str(SHIM), **more):
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True,
            env=tracing.environment(LD_PRELOAD=shim, TLSTALL_DIR=str(directory)), **more)
        self.pid = self.process.pid

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def stop(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def silent(start):
    return start(peer.Peer(peer.silent_after_hello))


@pytest.fixture
def tlstall(directory):
    return lambda *arguments: run([TLSTALL, *map(str, arguments)],
                                  env={"TLSTALL_DIR": str(directory)})


@pytest.fixture
def stuck(start, silent, directory):
    """stuck("curl"...): clients whose ClientHello has arrived and is not answered."""
    commands = {
        "curl": ["/usr/bin/curl", "-sSk", f"https://127.0.0.1:{silent.port}/"],
        "openssl": ["/usr/bin/openssl", "s_client", "-connect", f"127.0.0.1:{silent.port}"],
        "perl": ["/usr/bin/perl", "-MIO::Socket::SSL", "-e",
                 f"IO::Socket::SSL->new(PeerAddr => '127.0.0.1:{silent.port}', "
                 "SSL_verify_mode => 0)"],
    }

    def begin(*names):
        clients = []
        for name in names:
            before = silent.hellos
            clients.append(start(Traced(commands[name], directory)))
            silent.wait_hellos(before + 1)
        return clients if len(clients) > 1 else clients[0]

    return begin


def rows_in(text):
    return [match.groupdict() for match in map(ROW.match, text.splitlines()) if match]


def settled(tlstall, *arguments, cause="PEER_SILENT", count=1):
    """The rows of ps, once that many have a known cause."""

    def look():
        rows = rows_in(tlstall("ps", *arguments).stdout)
        return rows if [r["cause"] for r in rows] == [cause] * count else None

    return await_that(look, lambda: tlstall("ps", *arguments))


def stack_with(tlstall, pid, text, *options, call=""):
    """The stack of that process, once it is where it should be, and in such a call: the two are not read at once."""
    return await_that(lambda: (r := tlstall("stack", *options, pid)) and text in r.stdout and
                      re.search(call, r.stdout, re.MULTILINE) and r,
                      lambda: f"{text}, {call}: {tlstall('stack', *options, pid)}")


# ---- ps ------------------------------------------------------------------------

def test_ps_lists_the_oldest_first(tlstall, stuck, silent):
    curl, openssl = stuck("curl", "openssl")
    rows = settled(tlstall, count=2)
    assert [(int(r["pid"]), r["comm"]) for r in rows] == [(curl.pid, "curl"),
                                                          (openssl.pid, "openssl")]
    for row in rows:
        assert row["peer"] == f"127.0.0.1:{silent.port}", row
        assert "write client hello" in row["state"] and row["fault"] == "peer", row


def test_ps_of_one_process(tlstall, stuck):
    _, openssl = stuck("curl", "openssl")
    assert [int(r["pid"]) for r in settled(tlstall, openssl.pid)] == [openssl.pid]


def test_ps_jsonl(tlstall, stuck, silent):
    curl, openssl = stuck("curl", "openssl")
    settled(tlstall, count=2)
    result = tlstall("ps", "--format", "jsonl")
    handshakes = tracing.Trace(result.stdout).handshakes
    assert [h.pid for h in handshakes] == [curl.pid, openssl.pid], result
    for h in handshakes:
        assert (h.schema, h.outcome, h.cause, h.fault) == ("tlstall/1", "in_flight",
                                                           "PEER_SILENT", "peer"), h
        assert h.peer == f"127.0.0.1:{silent.port}" and sum(h.time.values()) == h.duration_ns, h
        assert any("acknowledged" in text for text in h.evidence), h


def test_ps_counts_what_ended(tlstall, start, directory, authority):
    server = start(servers.nginx(authority.ecdsa))
    client = start(Traced([sys.executable, CLIENTS / "on_demand.py"], directory))
    assert client.ask(str(server.port)) == "TLSv1.3"
    fields = tlstall("ps").stdout.splitlines()[-1].split()
    assert fields[0] == str(client.pid) and fields[2:6] == ["0", "1", "0", "0"], fields
    assert float(fields[6]) > 0, fields


@pytest.mark.parametrize("mode", ["watch", "all"])
def test_ps_of_a_busy_server(tlstall, start, directory, authority, mode):
    """Slots pass from one handshake to the next all the time: no mixture of two is reported."""
    env = {"LD_PRELOAD": str(tracing.SHIM), "TLSTALL_DIR": str(directory), "TLSTALL_MODE": mode}
    directory.chmod(0o1777)
    server = start(servers.nginx(authority.ecdsa, env=env))
    load = subprocess.Popen(["/usr/bin/ab", "-n", "100000", "-c", "8", f"https://127.0.0.1:{server.port}/"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rows = []
    try:
        while len(rows) < 20:
            assert load.poll() is None, rows
            rows += tracing.Trace(tlstall("ps", "--format", "jsonl").stdout).handshakes
    finally:
        load.kill()
        load.wait()
    odd = [(r.role, r.duration_ns, r.peer) for r in rows if r.role != "server" or not r.duration_ns]
    assert not odd, odd


def test_ps_with_nothing_traced(tlstall, directory):
    result = tlstall("ps")
    assert result.status == 0 and result.stdout == ""
    # notes of other tests' untraced processes may precede it
    assert result.stderr.endswith(f"tlstall: no process is traced (no live trace in {directory})\n"), result


def test_ps_of_a_stopped_process(tlstall, stuck):
    openssl = stuck("openssl")
    stack_with(tlstall, openssl.pid, "waits in read()")
    os.kill(openssl.pid, signal.SIGSTOP)
    row = settled(tlstall, cause="APP_NOT_RESUMING")[0]
    assert (int(row["pid"]), row["fault"]) == (openssl.pid, "program"), row
    result = stack_with(tlstall, openssl.pid, "is stopped")
    assert "BIO_read" in result.stdout, result


def test_ps_of_a_killed_process(tlstall, stuck):
    curl = stuck("curl")
    settled(tlstall)
    curl.stop()
    assert not rows_in(tlstall("ps").stdout)
    rows = rows_in(tlstall("ps", "--all").stdout)
    assert [int(r["pid"]) for r in rows] == [curl.pid], rows
    for command in (["stack", curl.pid], ["ctl", curl.pid], ["ctl", curl.pid, "off"]):
        result = tlstall(*command)
        assert result.status == 1 and "no such process" in result.stderr, result


# ---- stack -----------------------------------------------------------------------

def test_stack_inside_a_call(tlstall, stuck, silent):
    openssl = stuck("openssl")
    # openssl s_client makes its handshake inside SSL_write()
    result = stack_with(tlstall, openssl.pid, "waits in",
                        call=rf"^openssl\[{openssl.pid}\], handshake 1 with 127\.0\.0\.1:{silent.port}: "
                        r"inside SSL_write for [\d.]+ \w+ \[.*write client hello\]$")
    assert re.search(r"waits in read\(\), descriptor \d+, the handshake's own$", result.stdout,
                     re.MULTILINE), result
    functions = re.findall(r"^ +#\d+ +([\w.]+)", result.stdout, re.MULTILINE)
    assert (functions.index("BIO_read") < functions.index("SSL_write")
            < functions.index("openssl") < functions.index("__libc_start_main")), functions


def test_stack_names_the_function_that_was_called(tlstall, stuck):
    perl = stuck("perl")
    result = stack_with(tlstall, perl.pid, "#0", call="(inside|the last was) SSL_connect")
    assert re.search(r"#\d+ +Perl_\w+", result.stdout), result


def test_stack_between_calls(tlstall, stuck):
    curl = stuck("curl")
    result = stack_with(tlstall, curl.pid, "poll()", call="between calls; the last was SSL_connect")
    assert "curl_easy_perform" in result.stdout, result


@pytest.mark.parametrize("shim", [str(SHIM), ""], ids=["traced", "seen from outside"])
def test_stack_and_call_are_of_one_moment(tlstall, start, directory, shim):
    """The program is in SSL_connect() half of the time, each time for 2 ms."""
    client = start(Traced([tracing.PROGRAMS / "stalls" / "swings"], directory, shim))
    stack_with(tlstall, client.pid, "#0", call="inside|between calls")
    for _ in range(25 if shim else 5):
        said = tlstall("stack", client.pid).stdout
        frames = re.findall(r"^ +#\d+ .*", said, re.MULTILINE)
        in_call = any("SSL_connect" in frame or "libssl.so" in frame for frame in frames)
        assert not frames or "a moment later" in said or (": inside " in said) == in_call, said
        waits = re.search(r"waits in (\w+)\(\)(, descriptor \d\b)?", said)
        assert not waits or waits[1] == ("clock_nanosleep" if in_call else "poll") and bool(waits[2]) != in_call, said


def test_stack_of_all_threads_needs_no_trace(tlstall, start, directory):
    sleeper = start(Traced(["/bin/sleep", "1000"], directory))
    result = stack_with(tlstall, sleeper.pid, "nanosleep", "--all")
    assert f"thread {sleeper.pid} waits in clock_nanosleep()" in result.stdout, result
    result = tlstall("stack", sleeper.pid)
    assert result.status == 1 and f"process {sleeper.pid} is not traced" in result.stderr, result


def states_of(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        stat, status = (task / "stat").read_text(), (task / "status").read_text()
        yield stat.rpartition(")")[2].split()[0]
        yield re.search(r"TracerPid:\t(\d+)", status).group(1)


def test_stack_does_not_stop_the_process(tlstall, start, silent, directory):
    """epoll_wait() would return EINTR in a stopped thread, and only there."""
    program = [sys.executable, CLIENTS / "in_epoll.py", silent.port]
    client = start(Traced(program, directory))
    silent.wait_hellos(1)
    stack_with(tlstall, client.pid, "epoll_wait", "--all")
    seen, stop = set(), threading.Event()

    def sample():
        while not stop.is_set():
            seen.update(states_of(client.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        for _ in range(10):
            result = tlstall("stack", "--all", client.pid)
            assert "epoll_wait" in result.stdout and "libssl.so" in result.stdout, result
        assert "inside SSL_do_handshake" in tlstall("stack", client.pid).stdout
    finally:
        stop.set()
        sampler.join()
    assert seen <= {"S", "R", "D", "0"} and "S" in seen, seen
    assert client.ask("") == "1", "it was woken by us, not by a stop"

    stopped = start(Traced(program, directory))
    silent.wait_hellos(2)
    stack_with(tlstall, stopped.pid, "epoll_wait", "--all")
    result = tlstall("stack", "--all", "--ptrace", stopped.pid)
    assert "libssl.so" in result.stdout, result
    assert stopped.process.stdout.readline().strip() == "-1 EINTR"


def as_nobody():
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    return nobody if os.geteuid() == 0 else []


def test_stack_without_permission(directory):
    directory.chmod(0o755)
    program = tracing.copy_products(directory)
    result = run([*as_nobody(), program, "stack", "1"])
    assert result.status == 1 and result.stdout == "", result
    assert re.match(r"tlstall: process 1 belongs to user root: .*CAP_SYS_PTRACE$", result.stderr), result


@pytest.mark.parametrize("command", ["stack", "ctl", "ps"])
def test_wrong_process(tlstall, command):
    result = tlstall(command, "99999999")
    assert result.status == 1 and result.stderr.startswith("tlstall: "), result
    assert re.search("no such process: 99999999|process 99999999 is not traced", result.stderr), result
    for wrong in ("x", "0", "-1", "99999999999999999999", ""):
        result = tlstall(command, wrong)
        assert result.status == 2 and "Usage:" in result.stderr, (wrong, result)


# ---- ctl -------------------------------------------------------------------------

def test_reason_is_not_that_of_another_process(tlstall, directory):
    (directory / "1-2-0000000000000001.tlstall").write_text("no trace")
    assert "not a trace file" in tlstall("ps").stderr
    result = tlstall("ctl", os.getpid())
    assert result.status == 1 and re.match(rf"tlstall: process {os.getpid()} is not traced \(no trace of it in ", result.stderr), result


def ended(tlstall):
    return int(tlstall("ps").stdout.splitlines()[-1].split()[3])


def test_ctl_off_and_on(tlstall, start, directory, authority):
    server = start(servers.nginx(authority.ecdsa))
    client = start(Traced([sys.executable, CLIENTS / "on_demand.py"], directory))
    assert client.ask(str(server.port)) == "TLSv1.3" and ended(tlstall) == 1
    assert tlstall("ctl", client.pid, "off").stdout == "off stacks=on socket=on\n"
    assert client.ask(str(server.port)) == "TLSv1.3" and ended(tlstall) == 1
    assert tlstall("ctl", client.pid, "on").stdout == "all stacks=on socket=on\n"
    assert client.ask(str(server.port)) == "TLSv1.3" and ended(tlstall) == 2
    assert tlstall("ctl", client.pid).stdout == "all stacks=on socket=on\n"


def in_flight(tlstall, count):
    """The records of ps, once that many handshakes have begun."""
    return await_that(
        lambda: (found := tracing.Trace(tlstall("ps", "--format", "jsonl").stdout).handshakes)
        and len([h for h in found if h.states]) == count and found, f"{count} in flight")


def test_ctl_stacks(tlstall, start, directory, silent):
    client = start(Traced([sys.executable, CLIENTS / "on_demand.py"], directory))
    client.process.stdin.write(f"&{silent.port}\n")
    client.process.stdin.flush()
    assert in_flight(tlstall, 1)[0].stack
    result = tlstall("ctl", client.pid, "stacks=off", "handshake", "socket=off")
    assert result.stdout == "handshake stacks=off socket=off\n", result
    client.process.stdin.write(f"&{silent.port}\n")
    client.process.stdin.flush()
    assert [bool(h.stack) for h in in_flight(tlstall, 2)] == [True, False]


def test_ctl_of_what_is_not_traced(tlstall):
    result = tlstall("ctl", os.getpid(), "off")
    assert result.status == 1 and f"process {os.getpid()} is not traced" in result.stderr, result
    result = tlstall("ctl", os.getpid(), "loud")
    assert result.status == 2 and "unknown setting 'loud'" in result.stderr, result


# ---- top -------------------------------------------------------------------------

def test_top_says_whose_fault_it_is(stuck, start, directory):
    curl = stuck("curl")
    screen = start(Screen(directory))
    text = screen.until(r"\A.*1 traced, 1 in flight", r"^q:quit .*/:filter.*\n\Z",
                        rf"^ *{curl.pid} curl +127\S+ +write client.* PEER_SILENT +peer$")
    assert len(text.splitlines()) == 24 and max(map(len, text.splitlines())) <= 80, text
    screen.keys("Enter")
    screen.until(r"^The peer's fault: PEER_SILENT", rf"curl\[{curl.pid}\]", "was acknowledged")
    screen.keys("End")
    screen.until(r"#\d+ +curl_easy_perform", "write client hello", r"\(between calls\)")
    screen.keys("Escape")
    screen.until(rf"^ *{curl.pid} curl")
    screen.keys("q")
    screen.until(r"^status 0$")


def test_top_of_a_blocking_handshake(stuck, start, directory):
    openssl = stuck("openssl")
    screen = start(Screen(directory))
    screen.until(rf"^ *{openssl.pid} openssl .* PEER_SILENT +peer$")
    screen.keys("Enter")
    screen.until(r"^The peer's fault: PEER_SILENT")
    screen.keys("NPage", "NPage")
    screen.until(r"waits in read\(\), descriptor \d+, the handshake's own")
    openssl.stop()
    screen.until("It has ended")


def test_top_follows_the_terminals_size(stuck, start, directory):
    stuck("curl")
    screen = start(Screen(directory))
    screen.until(r"PEER_SILENT +peer$", without=("RETRY", " SNI "))
    screen.resize(150, 40)
    text = screen.until(r"PID +COMMAND .* SNI .* RETRY", "PEER_SILENT", without=("SSLv3",))
    assert len(text.splitlines()) == 40, text
    screen.resize(50, 6)
    text = await_that(lambda: len((s := screen.read()).splitlines()) == 6 and "curl" in s and s,
                      screen.read)
    assert max(map(len, text.splitlines())) <= 50, text
    screen.keys("Enter", "End", "Escape")
    screen.resize(80, 24)
    screen.until(r"PEER_SILENT +peer$")


def test_top_filters_and_sorts(stuck, start, directory):
    curl, openssl = stuck("curl", "openssl")
    screen = start(Screen(directory))
    screen.until(rf"^ *{curl.pid} .*\n *{openssl.pid} ")
    screen.keys("r")
    screen.until(rf"^ *{openssl.pid} .*\n *{curl.pid} ")
    screen.keys("r", "/", "o", "p", "e", "n")
    screen.until(r"^filter: open_", rf"^ *{openssl.pid} ", without=(f"{curl.pid} curl",))
    screen.keys("Enter")
    screen.until("only: open", rf"^ *{openssl.pid} ", without=(f"{curl.pid} curl",))
    screen.keys("Escape")
    screen.until(rf"^ *{curl.pid} .*\n *{openssl.pid} ")
    screen.keys("p")
    screen.until("FAILED/s", rf"^ *{curl.pid} curl +1 ")


def test_top_scrolls_processes(stuck, start, directory):
    """One fits on the screen; the last one stays there, and a larger screen has room for both."""
    stuck("curl", "openssl")
    screen = start(Screen(directory))
    screen.until(r" curl .*\n.* openssl ")
    screen.resize(80, 5)
    screen.keys("p")
    first = "curl" if " curl " in screen.until(r"FAILED/s.*\n *\d+ (curl|openssl) ") else "openssl"
    second = "openssl" if first == "curl" else "curl"
    screen.keys("Down")
    screen.until(rf"FAILED/s.*\n *\d+ {second} ")
    screen.keys("NPage", "Home")
    screen.until(rf"FAILED/s.*\n *\d+ {first} ")
    screen.keys("End")
    screen.until(rf"FAILED/s.*\n *\d+ {second} ")
    screen.resize(80, 24)
    screen.until(rf"FAILED/s.*\n *\d+ {first} .*\n *\d+ {second} ")


def test_top_shows_whole_names_of_processes(start, silent, directory):
    name = "client-proxyxé"  # 15 bytes, as many as a process's name may have
    program = directory / name
    shutil.copy("/usr/bin/openssl", program)
    client = start(Traced([program, "s_client", "-connect", f"127.0.0.1:{silent.port}"], directory))
    silent.wait_hellos()
    screen = start(Screen(directory))
    screen.until(rf"^ *{client.pid} .*PEER_SILENT")
    screen.keys("p")
    head, row = screen.until("INFLIGHT", rf"^ *{client.pid} .* 0\.0").splitlines()[2:4]
    assert row.split()[:3] == [str(client.pid), name, "1"] and row.index("1 ", 8) == head.index("INFLIGHT") + 7, (head, row)


def test_top_needs_a_terminal(tlstall):
    result = tlstall("top")
    assert result.status == 1 and "needs a terminal" in result.stderr, result
    for wrong in (["--sort", "color"], ["--delay", "0"], ["1", "2"], ["--loud"], ["x"]):
        assert tlstall("top", *wrong).status == 2, wrong


def test_top_ends_with_its_terminal(directory):
    """No signal tells it, if the terminal is not the one that controls it or SIGHUP is ignored."""
    terminal, other = pty.openpty()
    argv, env = [TLSTALL, "top"], tracing.environment(TERM="xterm", TLSTALL_DIR=str(directory))
    with subprocess.Popen(argv, stdin=other, stdout=other, start_new_session=True, env=env) as process:
        os.close(other)
        assert os.read(terminal, 4096)
        os.close(terminal)
        try:
            process.wait(10)
        finally:
            process.kill()
