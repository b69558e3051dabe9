# SPDX-License-Identifier: Apache-2.0
"""The behavior of `tlstall run`: what it passes through, what it prints, what it refuses."""
import json
import math
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import termios
import time

import pytest

import peer
import servers
import tracing
from tracing import PROGRAMS, SHIM, TLSTALL, run

CURL = "/usr/bin/curl"
LINE = re.compile(
    r"^(?P<time>\d\d:\d\d:\d\d\.\d{6}) (?P<comm>\S+)\[(?P<pid>\d+)\] (?P<fn>SSL_\w+)"
    r"\((?P<arguments>.*)\) = (?P<result>.+)$")


def tlstall(*arguments, **more):
    return run([TLSTALL, *arguments], **more)


def curl_to(port, *arguments):
    return [CURL, "-sS", "-k", *arguments, f"https://127.0.0.1:{port}/"]


def calls_in(text):
    return [match for match in map(LINE.match, text.splitlines()) if match]


@pytest.fixture
def server(authority, start):
    return start(servers.nginx(authority.ecdsa))


@pytest.fixture
def far(start, server):
    """The same server, so far away that a client's first call must be repeated."""
    return start(peer.Peer(peer.relay(server.port, peer.late(0.2))))


@pytest.fixture
def silent(start):
    return start(peer.Peer(peer.silent_after_hello))


# ---- what is passed through ------------------------------------------------

@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143),
                                            ("kill -SEGV $$", 139), ("kill -KILL $$", 137)])
def test_exit_status(script, status):
    result = tlstall("run", "--", "/bin/sh", "-c", script)
    assert (result.status, result.stdout) == (status, "")


def test_standard_streams_are_the_programs(directory):
    output = directory / "records"
    result = tlstall("run", "-o", str(output), "--", "/bin/sh", "-c", "cat; echo err >&2",
                     stdin="in\n")
    assert (result.stdout, result.stderr) == ("in\n", "err\n")


def test_double_dash_is_optional_and_programs_options_are_its_own():
    assert tlstall("run", "/bin/echo", "-n", "--help").stdout == "--help"


def test_program_is_found_in_path():
    assert tlstall("run", "echo", "hello").stdout == "hello\n"


def test_not_found():
    result = tlstall("run", "/nonexistent/program")
    assert result.status == 127 and "/nonexistent/program" in result.stderr
    assert result.stderr.startswith("tlstall: ")


def test_trace_is_cut_before_an_exec(directory):
    """What cannot be read any more is not waited for."""
    argv = [TLSTALL, "run", "-d", directory, "--", PROGRAMS / "harm" / "exec_later"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=tracing.environment()) as process:
        assert "SSL_" in process.stderr.readline()
        for path in directory.glob("*.tlstall"):
            os.truncate(path, 0)
        try:
            out, said = process.communicate("go on\n", timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "first\nsecond\n") and "SSL_" in said, said


def test_not_executable(directory):
    program = directory / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o644)
    result = tlstall("run", str(program))
    assert result.status == 126 and str(program) in result.stderr
    assert tlstall("run", str(directory)).status == 126


def test_script_runs(directory):
    program = directory / "script"
    program.write_text("#!/bin/sh\necho script $1\nexit 3\n")
    program.chmod(0o755)
    result = tlstall("run", str(program), "x")
    assert (result.status, result.stdout) == (3, "script x\n")


def test_existing_preload_is_kept(directory):
    source, library = directory / "other.c", directory / "other.so"
    source.write_text("int other_preload;\n")
    subprocess.run(["cc", "-shared", "-o", library, source], check=True)
    result = tlstall("run", "--", "/usr/bin/printenv", "LD_PRELOAD",
                     env={"LD_PRELOAD": str(library)})
    loaded = re.split("[: ]", result.stdout.strip())
    assert str(library) in loaded
    assert [os.path.basename(path) for path in loaded].count("libtlstall.so") == 1


def test_nothing_is_left(directory, server):
    """Where it may write: no trace, no directory."""
    result = tlstall("run", "--", *curl_to(server.port), env={"TMPDIR": str(directory)})
    assert calls_in(result.stderr)
    assert os.listdir(directory) == []


# ---- what it prints --------------------------------------------------------

def test_text_lines(far):
    result = tlstall("run", "--", *curl_to(far.port, "-o", "/dev/null"))
    assert result.status == 0
    calls = calls_in(result.stderr)
    assert len(calls) >= 3, result
    first = calls[0]
    assert (first["comm"], first["fn"]) == ("curl", "SSL_connect")
    assert re.match(r"0x[0-9a-f]+, ", first["arguments"]), first
    assert re.match(r"-1 WANT_READ retry=0 <\d+\.\d{6}> \[.+\]$", first["result"]), first
    assert calls[1]["fn"] == "SSL_get_error"
    assert re.match(r"0x[0-9a-f]+, -1$", calls[1]["arguments"])
    assert re.match(r"SSL_ERROR_WANT_READ\b", calls[1]["result"])
    ends = [c for c in calls if c["fn"] == "SSL_connect"][-1]
    assert re.match(r"1 ", ends["result"]), ends
    assert "\033" not in result.stderr
    assert are_in_order(calls)


def are_in_order(calls):
    """Their times of day, which begin anew at midnight."""
    seconds = [sum(float(part) * unit for part, unit in zip(c["time"].split(":"), (3600, 60, 1))) for c in calls]
    return all((later - earlier) % 86400 < 43200 for earlier, later in zip(seconds, seconds[1:]))


def test_times_at_midnight(start, server):
    """Where it comes while the first call's answer is awaited."""
    far = start(peer.Peer(peer.relay(server.port, peer.late(1.3))))
    midnight = math.ceil(time.time() + 0.2) % 86400
    zone = f"ZONE{midnight // 3600}:{midnight // 60 % 60}:{midnight % 60}"
    calls = calls_in(tlstall("run", "--", *curl_to(far.port, "-o", "/dev/null"), env={"TZ": zone}).stderr)
    assert len(calls) >= 3 and are_in_order(calls), [c["time"] for c in calls]
    assert calls[-1]["time"] < "00:01", [c["time"] for c in calls]


def test_text_line_tells_of_the_socket(server, authority):
    program = pathlib.Path(__file__).parent / "clients/http.rb"
    result = tlstall("run", "--", "/usr/bin/ruby", str(program), str(server.port), authority.ca)
    first = calls_in(result.stderr)[0]
    assert re.match(r"0x[0-9a-f]+, socket fd=\d+ nonblock 127\.0\.0\.1:%d sni=localhost"
                    % server.port, first["arguments"]), first


def test_a_good_handshake_gets_no_diagnosis(server):
    result = tlstall("run", "-q", "--", *curl_to(server.port, "-o", "/dev/null"))
    assert "PEER_SILENT" not in result.stderr and "failed" not in result.stderr


def test_diagnosis_in_words(silent, directory):
    result = tlstall("run", "-d", str(directory), "--", *curl_to(silent.port, "--max-time", "1"))
    assert result.status == 28
    assert "PEER_SILENT" in result.stderr
    told, unit = re.search(r"^ +how long ([\d.]+) (m?s)", result.stderr, re.MULTILINE).groups()
    record = json.loads(tlstall("report", "--format", "jsonl", str(directory)).stdout)
    assert float(told) * (1e6 if unit == "ms" else 1e9) == pytest.approx(record["duration_ns"], rel=0.01)


def test_diagnosis_names_the_peer(silent):
    result = tlstall("run", "--", "timeout", "1", "/usr/bin/openssl", "s_client", "-connect",
                     f"127.0.0.1:{silent.port}")
    assert result.status == 124
    assert "PEER_SILENT" in result.stderr and f"127.0.0.1:{silent.port}" in result.stderr


def test_output_file_and_standard_output(directory, far):
    output = directory / "records"
    result = tlstall("run", "-o", str(output), "--", *curl_to(far.port))
    assert (result.stdout, result.stderr) == ("hello\n", "")
    assert len(calls_in(output.read_text())) >= 3
    result = tlstall("run", "-o", "-", "--", *curl_to(far.port, "-o", "/dev/null"))
    assert len(calls_in(result.stdout)) >= 3 and result.stderr == ""


def test_jsonl_on_standard_error(server):
    result = tlstall("run", "--format", "jsonl", "--", *curl_to(server.port, "-o", "/dev/null"))
    trace = tracing.Trace(result.stderr).check()
    assert trace.only().outcome == "ok"


def test_only_the_summary(far):
    result = tlstall("run", "-c", "--", *curl_to(far.port, "-o", "/dev/null"))
    assert not calls_in(result.stderr)
    assert re.search(r"^ *\d+( +[\d.]+ [mun]?s){3} SSL_connect ", result.stderr, re.M), result
    # not timed by the shim
    assert re.search(r"^ *\d+ +- +- +- SSL_get_error ", result.stderr, re.M), result


def test_stacks(server):
    result = tlstall("run", "-k", "--", *curl_to(server.port, "-o", "/dev/null"))
    assert re.search(r"libcurl\.so|curl_easy_perform|curl_multi_perform", result.stderr), result


def test_stack_of_own_program_has_names_and_lines():
    result = tlstall("run", "-k", "--", str(tracing.PROGRAMS / "blocking"))
    assert re.search(r"\bmain\b.*blocking\.c:\d+", result.stderr), result


def test_a_spin_is_folded(silent):
    """wrk calls again and again without waiting."""
    result = tlstall("run", "--", "/usr/bin/wrk", "-t1", "-c1", "-d1s",
                     f"https://127.0.0.1:{silent.port}/")
    told = re.findall(r" SSL_connect\(0x\w+\) = -1 WANT_READ, repeated ([\d,]+) times in ",
                      result.stderr)
    assert told, result.stderr[-2000:]
    assert sum(int(count.replace(",", "")) for count in told) > 100
    assert len(calls_in(result.stderr)) < 200


def test_children_that_outlive_the_program(silent):
    """Their handshakes are awaited for a while, then reported."""
    command = " ".join(curl_to(silent.port, "--max-time", "2"))
    result = tlstall("run", "-q", "--", "/bin/sh", "-c", f"{command} & exit 3")
    assert result.status == 3
    assert "PEER_SILENT" in result.stderr and "2" in result.stderr


def test_quiet_says_nothing_of_what_is_good(server):
    result = tlstall("run", "-q", "--", *curl_to(server.port))
    assert (result.stdout, result.stderr) == ("hello\n", "")


def test_traces_are_kept(directory, server):
    kept = directory / "traces"
    kept.mkdir()
    assert tlstall("run", "-d", str(kept), "--", *curl_to(server.port)).status == 0
    names = tracing.listed(kept)
    assert len(names) == 1 and re.fullmatch(r"\d+-\d+-[0-9a-f]{16}\.tlstall", names[0]), names


@pytest.mark.parametrize("length, shown", [(71, 71), (72, 68), (200, 68)])
def test_a_server_name_that_was_cut_does_not_look_like_another(start, length, shown):
    closing = start(peer.Peer(peer.close_after_hello))
    name = ("0123456789." * 20)[:length - 1] + "x"
    result = tlstall("run", "-q", "--format", "jsonl", "--", CURL, "-sk",
                     "--connect-to", f"{name}:443:127.0.0.1:{closing.port}", f"https://{name}/")
    assert [json.loads(line)["sni"] for line in result.stderr.splitlines()] == [name[:shown] + ("..." if shown < length else "")]


def test_filter_by_function(far):
    result = tlstall("run", "-e", "SSL_get_error", "--", *curl_to(far.port, "-o", "/dev/null"))
    assert {c["fn"] for c in calls_in(result.stderr)} == {"SSL_get_error"}


READS_TOO_EARLY = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
tls = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
tls.setblocking(False)
try:
    tls.recv(1)
except ssl.SSLWantReadError:
    pass
"""


def too_early(server):
    """A handshake that succeeds, then a read that the server does not expect."""
    return ["/usr/bin/python3", "-c", READS_TOO_EARLY, str(server.port)]


def test_filter_by_error(server):
    result = tlstall("run", "-e", "error!=none", "--", *too_early(server))
    calls = calls_in(result.stderr)
    assert calls and all("WANT_READ" in c["result"] for c in calls), result


def test_filter_of_a_function_that_is_none(server):
    result = tlstall("run", "-e", "SSL_conect,SSL_accept,SSL_CTX_new", "--", *curl_to(server.port, "-o", "/dev/null"))
    assert result.stderr == ("tlstall: -e SSL_conect: no such function is recorded (did you mean 'SSL_connect'?)\n"
                             "tlstall: -e SSL_CTX_new: no such function is recorded\n"), result


def test_filter_that_is_none(server):
    result = tlstall("run", "-e", "color=blue", "--", *curl_to(server.port))
    assert result.status == 2 and "color" in result.stderr and result.stdout == ""


@pytest.mark.parametrize("option, pattern", [
    ("-t", r"^\d\d:\d\d:\d\d "), ("-tt", r"^\d\d:\d\d:\d\d\.\d{6} "), ("-r", r"^ *\d+\.\d{6} "),
    ("-T", r"<\d+\.\d{6}>")])
def test_times(server, option, pattern):
    result = tlstall("run", option, "--", *curl_to(server.port, "-o", "/dev/null"))
    lines = [line for line in result.stderr.splitlines() if " SSL_connect(" in line]
    assert lines and all(re.search(pattern, line) for line in lines), result


def test_help_and_version():
    for arguments in (("--help",), ("run", "--help")):
        result = tlstall(*arguments)
        assert result.status == 0 and "run" in result.stdout and result.stderr == ""
    assert re.search(r"\d+\.\d+\.\d+", tlstall("--version").stdout)


# ---- while it runs ---------------------------------------------------------

def read_until(stream, pattern, timeout=20):
    """Reads the descriptor until the output matches; returns it and the time."""
    text = b""
    end = time.monotonic() + timeout
    while not re.search(pattern, text):
        ready, _, _ = select.select([stream], [], [], max(0, end - time.monotonic()))
        assert ready, f"in vain; came: {text!r}"
        data = os.read(stream, 65536)
        assert data, f"ended; came: {text!r}"
        text += data
    return text, time.monotonic()


def until_line(silent, count):
    """How long after the ClientHello the line of SSL_connect appeared."""
    process = subprocess.Popen([TLSTALL, "run", "--", *curl_to(silent.port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=tracing.environment())
    try:
        silent.wait_hellos(count)
        sent = time.monotonic()
        _, seen = read_until(process.stderr.fileno(), rb"SSL_connect\(.*WANT_READ.*\n")
        assert process.poll() is None
        return seen - sent
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def test_lines_appear_while_it_hangs(silent):
    """Within 100 ms; a busy machine may spoil one attempt, but not five."""
    assert min(until_line(silent, count) for count in range(1, 6)) < 0.1


def spawn_in_terminal(argv):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, tracing.environment(TERM="dumb"))
    return pid, terminal


def interrupt_in_terminal(argv, hangs):
    """Ctrl-C once hangs(terminal) returns: the exit status, and the output since then."""
    pid, terminal = spawn_in_terminal([str(a) for a in argv])
    try:
        hangs(terminal)
        # The line discipline sends SIGINT to the terminal's foreground process group.
        os.write(terminal, termios.tcgetattr(terminal)[6][termios.VINTR])
        text = b""
        while True:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            text += data
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text.decode()
    finally:
        os.close(terminal)


def test_interrupt_goes_to_the_program(silent):
    plain, _ = interrupt_in_terminal(curl_to(silent.port), lambda _: silent.wait_hellos(1))
    assert plain == -signal.SIGINT
    # before the first call has returned, there would be nothing to judge
    status, text = interrupt_in_terminal([TLSTALL, "run", "--", *curl_to(silent.port)],
                                         lambda terminal: read_until(terminal, rb"SSL_connect\(.*WANT_READ"))
    assert status in (128 + signal.SIGINT, -signal.SIGINT)
    assert "PEER_SILENT" in text, "the diagnosis is still printed"


def test_interrupt_that_the_program_handles(directory):
    """The program continues after Ctrl-C, and so does tlstall."""
    script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    pid, terminal = spawn_in_terminal([str(TLSTALL), "run", "--", "/bin/sh", "-c", script])
    try:
        read_until(terminal, rb"ready")
        os.write(terminal, b"\x03")
        read_until(terminal, rb"caught")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    finally:
        os.close(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_kill_reaches_the_program(silent, number):
    process = subprocess.Popen([TLSTALL, "run", "--", *curl_to(silent.port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=tracing.environment(), text=True)
    silent.wait_hellos(1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode in (128 + number, -number)
    assert "PEER_SILENT" in stderr or "SSL_connect" in stderr
    # The end of the connection shows that curl is gone, too.
    for thread in silent.threads[1:]:
        thread.join(10)
        assert not thread.is_alive()


# ---- bad input -------------------------------------------------------------

@pytest.mark.parametrize("arguments, words", [
    (("rnu", "true"), "run"), (("run", "--fromat", "jsonl", "true"), "--format"),
    (("run", "--format", "xml", "true"), "jsonl"), (("run",), "PROGRAM"), ((), "run"),
    (("run", "-o"), "-o"), (("run", "-Z", "true"), "-Z")])
def test_wrong_usage(arguments, words):
    result = tlstall(*arguments)
    assert result.status == 2 and result.stdout == ""
    assert words in result.stderr, result
    assert result.stderr.startswith("tlstall: ") or arguments == ()


def test_output_that_cannot_be_written(directory):
    result = tlstall("run", "-o", "/nonexistent/records", "--", "/bin/echo", "ran")
    assert result.status not in (0, 127) and "/nonexistent/records" in result.stderr
    assert result.stdout == "", "refused before the program runs"


@pytest.mark.parametrize("name, value", [
    ("MODE", "sometimes"), ("SIZE", "1"), ("SIZE", "many"), ("STACKS", "2"), ("SOCKET", "maybe"),
    ("REACH", "magic"), ("SIZE", "99999999999999999999")])
def test_bad_settings(name, value, server, directory):
    env = {f"TLSTALL_{name}": value}
    result = tlstall("run", "--", "/bin/echo", "ran", env=env)
    assert result.status == 2 and f"TLSTALL_{name}" in result.stderr and value in result.stderr
    assert result.stdout == ""
    # The shim itself uses the default and does not disturb the program.
    alone = run(curl_to(server.port),
                env={**env, "LD_PRELOAD": str(SHIM), "TLSTALL_DIR": str(directory)})
    assert (alone.status, alone.stdout, alone.stderr) == (0, "hello\n", "")
    assert len(list(directory.glob("*.tlstall"))) == 1


def test_static_program(directory):
    source, program = directory / "static.c", directory / "static"
    source.write_text('#include <stdio.h>\nint main(void) { puts("static"); return 4; }\n')
    subprocess.run(["cc", "-static", "-o", program, source], check=True)
    result = tlstall("run", "--", str(program))
    assert (result.status, result.stdout) == (4, "static\n")
    assert re.match(r"tlstall: .*static", result.stderr), result


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file of another user setuid")
def test_setuid_program(directory):
    program = directory / "setuid"
    shutil.copy(CURL, program)
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    directory.chmod(0o755)
    if os.statvfs(directory).f_flag & os.ST_NOSUID:
        pytest.skip("the temporary directory is mounted nosuid")
    result = tlstall("run", "--", str(program), "--version")
    assert result.status == 0 and result.stdout.startswith("curl ")
    assert re.match(r"tlstall: .*setuid", result.stderr), result


# ---- a trace that cannot be made -------------------------------------------

@pytest.fixture
def full_disk(directory):
    if os.getuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tlstall-test", directory],
            check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs more rights")
    yield directory
    subprocess.run(["umount", directory], check=True)


def runs_untraced(server, result, reason):
    assert (result.status, result.stdout) == (0, "hello\n"), result
    assert re.search(rf"^tlstall: .*{reason}", result.stderr, re.MULTILINE), result
    assert not calls_in(result.stderr)


def test_full_disk(full_disk, server):
    result = tlstall("run", "-d", str(full_disk), "--", *curl_to(server.port))
    runs_untraced(server, result, "(No space left|ENOSPC)")


def test_file_size_limit(directory, server):
    result = run(["prlimit", "--fsize=16384", str(TLSTALL), "run", "-d", str(directory), "--",
                  *curl_to(server.port)])
    runs_untraced(server, result, "(File too large|EFBIG)")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 16384


def test_directory_of_another_user(directory, server):
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    directory.chmod(0o755)
    result = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                  str(tracing.copy_products(directory)), "run", "-d", str(directory), "--", *curl_to(server.port)])
    assert result.status != 127 and "tlstall: " in result.stderr
    assert str(directory) in result.stderr and re.search("Permission|EACCES", result.stderr)
