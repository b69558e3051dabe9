# SPDX-License-Identifier: Apache-2.0
"""`tlstall report`: what it says about real traces, large synthetic ones, and files that are damaged or
not traces."""
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import tempfile

import pytest

import made
import memory
import peer
import servers
import tracing
from tracing import TLSTALL, run

CURL = "/usr/bin/curl"
PYTHON = "/usr/bin/python3"
CLIENTS = pathlib.Path(__file__).parent / "clients"

# In a trace: offset of the major version and of the section table, and the index of the handshakes there.
MAJOR_AT, SECTIONS_AT, HANDSHAKES = 8, 160, 6


def report(*arguments, **more):
    return run([TLSTALL, "report", *arguments], **more)


def record(directory, *argv, status=None, env=None):
    """Runs a program with its trace kept in `directory`."""
    result = run([TLSTALL, "run", "-q", "-d", directory, "--", *argv], env=env)
    assert status is None or result.status == status, result
    return result


def curl_to(port, *arguments):
    return [CURL, "-sS", "-k", "-o", "/dev/null", *arguments, f"https://127.0.0.1:{port}/"]


def records(result):
    assert result.status == 0, result
    return [json.loads(line) for line in result.stdout.splitlines()]


def table(text, title):
    """The rows of the table under a title, as lists of cells; columns are separated by two or more blanks."""
    lines = text.split(f"\n{title}\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return lines[0], lines[1:]


@pytest.fixture(scope="module")
def maker():
    made_traces = made.Maker()
    yield made_traces
    made_traces.stop()


@pytest.fixture
def server(authority, start):
    return start(servers.nginx(authority.ecdsa))


@pytest.fixture
def silent(start):
    return start(peer.Peer(peer.silent_after_hello))


# ---- real traces -----------------------------------------------------------------

def test_good_and_bad_curls(directory, server, silent, start):
    plain = start(peer.Peer(peer.plain_text))
    for _ in range(3):
        record(directory, *curl_to(server.port), status=0)
    record(directory, *curl_to(silent.port, "-m", "1"), status=28)
    record(directory, *curl_to(plain.port), status=35)
    result = report(directory)
    assert result.status == 0 and result.stderr == "", result
    assert "5 handshakes in 5 traces" in result.stdout
    assert re.search(r"^3 ok, 1 failed, 1 abandoned, 0 in flight; 2 failed or stalled", result.stdout, re.M), result
    _, rows = table(result.stdout, "What failed or stalled")
    assert len(rows) == 2, result
    of_silent = [row for row in rows if " PEER_SILENT " in row]
    assert len(of_silent) == 1 and " peer " in of_silent[0] and "libcurl.so" in of_silent[0], result
    assert len([row for row in rows if " PLAINTEXT_PEER " in row and " configuration " in row]) == 1, result
    _, sessions = table(result.stdout, "Outcome by version, cipher and resumption")
    assert any(row.startswith("TLSv1.3") and " TLS_AES_" in row for row in sessions), result
    assert "The worst of each group" in result.stdout
    assert "wrong version number" in result.stdout.split("The worst of each group")[1]


def test_groups_have_peer_and_code(directory, authority, start):
    """A client with OpenSSL's own BIO: the address is known."""
    closing, plain = start(peer.Peer(peer.close_after_hello)), start(peer.Peer(peer.plain_text))
    for port in (closing.port, closing.port, plain.port):
        record(directory, PYTHON, CLIENTS / "blocking.py", str(port), authority.ca, status=1)
    result = report(directory)
    _, rows = table(result.stdout, "What failed or stalled")
    assert [row.split()[0] for row in rows] == ["2", "1"], result
    assert f" 127.0.0.1:{closing.port} " in rows[0] and " PEER_CLOSED " in rows[0], result
    assert f" 127.0.0.1:{plain.port} " in rows[1], result
    assert "python3" in rows[0] or "_ssl" in rows[0], result


def test_what_failed_comes_first(directory, server, silent):
    record(directory, *curl_to(server.port), status=0)
    record(directory, *curl_to(silent.port, "-m", "1"), status=28)
    text = report(directory).stdout
    order = [text.index(title) for title in ("What failed or stalled", "Duration of the", "Outcome by version",
                                             "\nRetries\n", "The worst of each group")]
    assert order == sorted(order), text


def test_nothing_wrong(directory, server):
    record(directory, *curl_to(server.port), status=0)
    result = report(directory)
    assert "1 ok, 0 failed, 0 abandoned, 0 in flight; 0 failed or stalled (0.00 %)" in result.stdout
    assert "What failed or stalled" not in result.stdout and "The worst" not in result.stdout, result


def test_a_single_trace_is_the_same_as_its_directory(directory, server):
    record(directory, *curl_to(server.port), status=0)
    [trace] = directory.glob("*.tlstall")
    assert report(trace).stdout == report(directory).stdout
    with open(trace, "rb") as file:
        piped = subprocess.run([TLSTALL, "report", "-"], stdin=file, capture_output=True, text=True,
                               env=tracing.environment())
    assert piped.stdout == report(trace).stdout and piped.returncode == 0


def test_jsonl(directory, server, silent):
    record(directory, *curl_to(server.port), status=0)
    record(directory, *curl_to(silent.port, "-m", "1"), status=28)
    found = records(report("--format", "jsonl", directory))
    assert [r["type"] for r in found] == ["handshake"] * 2
    assert {r["schema"] for r in found} == {"tlstall/1"}
    assert sorted(r["outcome"] for r in found) == ["abandoned", "ok"]
    [bad] = [r for r in found if r["outcome"] != "ok"]
    assert (bad["cause"], bad["fault"]) == ("PEER_SILENT", "peer"), bad
    assert bad["evidence"] and bad["stack"]


def test_running_process(directory, silent):
    process = subprocess.Popen([TLSTALL, "run", "-q", "-d", directory, "--", *curl_to(silent.port)],
                               env=tracing.environment(), stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        silent.wait_hellos()
        result = servers.await_that(lambda: (r := report(directory)).stdout.count("1 in flight") and r,
                                    "a handshake in flight")
        assert result.status == 0 and "1 handshake in 1 trace" in result.stdout, result
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_process(directory, silent):
    process = subprocess.Popen([TLSTALL, "run", "-q", "-d", directory, "--", *curl_to(silent.port)],
                               env=tracing.environment(), stderr=subprocess.DEVNULL, start_new_session=True)
    silent.wait_hellos()
    servers.await_that(lambda: "1 in flight" in report(directory).stdout, "a handshake in flight")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    result = servers.await_that(lambda: (r := report(directory)).stdout.count("1 failed or stalled") and r,
                                "the process's end")
    assert "1 handshake in 1 trace" in result.stdout, result


def test_more_handshakes_than_slots(directory, server):
    """Every handshake that began is accounted for."""
    count = 4000
    record(directory, "/usr/bin/ab", "-q", "-n", str(count), "-c", "4", f"https://127.0.0.1:{server.port}/",
           status=0, env={"TLSTALL_SIZE": "256K"})
    result = report(directory)
    [read] = re.findall(r"^(\d+) handshakes in 1 trace", result.stdout, re.M)
    [(gone, all_of_them)] = re.findall(r"^note: .* (\d+) of (\d+) handshakes left nothing", result.stdout, re.M)
    # ab ends with the last answer, whatever else it has begun
    [(ok, given_up)] = re.findall(r"^(\d+) ok, 0 failed, (\d+) abandoned, 0 in flight",
                                  result.stdout, re.M)
    assert int(read) == int(ok) + int(given_up) > 4 > int(given_up), result
    assert int(read) + int(gone) == int(all_of_them) and count <= int(all_of_them) < count + 10, result


def test_overwritten_details(maker, directory):
    """Reused slots: their earlier owners are counted only through END events."""
    count, reused = 330, 40
    path = maker.make(count)
    data = bytearray(path.read_bytes())
    offset, slots, size = struct.unpack_from("<QII", data, SECTIONS_AT + 16 * HANDSHAKES)
    assert slots == count
    for slot in range(reused):
        data[offset + slot * size:offset + slot * size + 8] = bytes(8)  # as if never used
    path.write_bytes(data)
    result = report(path)
    assert f"{count} handshakes in 1 trace" in result.stdout, result
    assert f"only the end of {reused} handshakes is kept" in result.stdout, result
    [ok] = re.findall(r"^(\d+) ok, ", result.stdout, re.M)
    assert f"Duration of the {ok} successful handshakes: " in result.stdout, result
    assert "(details overwritten)" in "".join(table(result.stdout, "What failed or stalled")[1]), result
    found = {r["handshake"]: r for r in records(report("--format", "jsonl", path))}
    whole = {r["handshake"]: r for r in records(report("--format", "jsonl", maker.make(count)))}
    assert set(found) == set(whole)
    for number in range(1, reused + 1):
        for key in ("ts_ns", "outcome", "pid", "comm", "role"):
            assert found[number][key] == whole[number][key], (number, key)
        assert found[number]["duration_ns"] == pytest.approx(whole[number]["duration_ns"], rel=1e-6)
        assert found[number]["cause"] == ("NONE" if found[number]["outcome"] == "ok" else "UNKNOWN")


def test_process_that_ran_untraced(directory, server):
    record(directory, *curl_to(server.port), status=0)
    (directory / "999-123.failed-ENOSPC").touch()
    result = report(directory)
    assert result.status == 0 and re.search(r"^note: .*999-123.*untraced \(ENOSPC\)", result.stdout, re.M), result


# ---- synthetic traces ------------------------------------------------------------------

def test_made_trace(maker):
    count = 3300
    result = report(maker.make(count))
    assert result.status == 0, result
    bad = {way: made.bad_of(count, way) for way in made.WAYS}
    assert f"{count} handshakes in 1 trace" in result.stdout
    assert (f"\n{count - bad['silent'] - bad['unacked'] - bad['refused'] - bad['waiting']} ok, "
            f"{bad['refused']} failed, {bad['silent'] + bad['unacked'] + bad['waiting']} abandoned, "
            f"0 in flight; ") in result.stdout, result.stdout[:500]
    found = records(report("--format", "jsonl", maker.make(count)))
    causes = {}
    for r in found:
        causes[r["cause"]] = causes.get(r["cause"], 0) + 1
    assert len(found) == count
    assert causes["PEER_SILENT"] == bad["silent"] + bad["waiting"], causes
    assert causes["TX_NOT_ACKED"] == bad["unacked"], causes
    assert causes.get("APP_NOT_RESUMING", 0) + causes.get("WRONG_INTEREST", 0) == bad["late"], causes
    assert causes["CERTIFICATE"] == bad["refused"], causes
    assert causes["BUSY_SPIN"] == bad["spinning"], causes


def test_groups_add_up(maker):
    count = 3300
    text = report(maker.make(count)).stdout
    [troubled] = re.findall(r"; (\d+) failed or stalled", text)
    _, rows = table(text, "What failed or stalled")
    assert sum(int(row.split()[0]) for row in rows) == int(troubled)
    counts = [int(row.split()[0]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    [faults] = re.findall(r"^Whose fault: (.*\n(?:With low confidence: .*\n)?)", text, re.M)
    assert sum(int(n) for n in re.findall(r" (\d+) \(", faults)) == int(troubled), faults
    assert all(re.search(rf"{fault} \d+ \([^)]*confidence\)", faults) for fault in ("peer", "program")), faults
    _, retries = table(text, "Retries")
    assert sum(int(row.split()[1]) for row in retries) == count, retries


def test_percentiles_of_the_good_ones(maker):
    """The same as computed from the records."""
    path = maker.make(1000)
    times = sorted(r["duration_ns"] for r in records(report("--format", "jsonl", path)) if r["outcome"] == "ok")
    [line] = re.findall(r"^Duration of the (\d+) successful handshakes?: p50 (.+), p90 (.+), p99 (.+), max (.+)$",
                        report(path).stdout, re.M)
    assert int(line[0]) == len(times)
    for words, per_hundred in zip(line[1:], (50, 90, 99, 100)):
        expected = times[-(-len(times) * per_hundred // 100) - 1]
        number, unit = words.split()
        assert float(number) * {"us": 1e3, "ms": 1e6, "s": 1e9}[unit] == pytest.approx(expected, rel=0.01), line


def test_many_traces(maker, directory):
    for number in range(30):
        shutil.copy(maker.make(100 + number), directory / f"{1000 + number}-1.tlstall")
    result = report(directory)
    assert f"{sum(100 + n for n in range(30))} handshakes in 30 traces" in result.stdout, result


def opened(traces, output):
    """How often a report of these opens files of the program."""
    result = tracing.run(["/usr/bin/strace", "-f", "-qq", "-e", "trace=open,openat", "-o", output,
                          TLSTALL, "report", "--format", "jsonl", traces])
    assert result.status == 0, result
    return len(re.findall(r'"[^"]*/(?:lib\w+\.so|curl)[^"]*".* = \d', output.read_text()))


def test_each_library_is_opened_once(directory, server):
    """Not once for each of its traces."""
    for number in range(4):
        here = directory / f"{min(number, 1)}"
        here.mkdir(exist_ok=True)
        record(here, "/usr/bin/curl", "-sS", f"https://localhost:{server.port}/", status=60)
    one, three = opened(directory / "0", directory / "out"), opened(directory / "1", directory / "out")
    assert len(list((directory / "1").glob("*.tlstall"))) == 3 and 0 < three == one


def test_hostile_texts(maker):
    result = report(maker.make(300, "hostile"))
    assert result.status == 0, result
    assert "\033" not in result.stdout and "\x07" not in result.stdout
    assert all(character == "\n" or character.isprintable() for character in result.stdout), result.stdout
    assert len(records(report("--format", "jsonl", maker.make(300, "hostile")))) == 300


def test_nothing_is_cut_off_a_terminal(maker):
    lines = report(maker.make(3300)).stdout.splitlines()
    assert not any("…" in line for line in lines)


def on_terminal(columns, *arguments):
    """Output on a pseudo-terminal of that width, and standard error."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(["/bin/sh", "-c", f'stty cols {columns} rows 24; exec "$@"', "sh", TLSTALL, "report",
                                *arguments], stdout=terminal, stdin=terminal, stderr=subprocess.PIPE,
                               env=tracing.environment(TERM="xterm"))
    os.close(terminal)
    text = b""
    try:
        while piece := os.read(main, 65536):
            text += piece
    except OSError:  # its end
        pass
    os.close(main)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).replace("\r\n", "\n")


def test_tables_fit_the_terminal(maker):
    text = on_terminal(100, maker.make(3300))
    _, rows = table(text, "What failed or stalled")
    assert rows and all(len(row) <= 100 for row in rows), rows


# ---- unreadable files --------------------------------------------------------------------

def test_cut_off(maker, directory):
    whole = maker.make(1000)
    cut = directory / "cut.tlstall"
    data = whole.read_bytes()
    cut.write_bytes(data[:len(data) // 4])
    result = report(cut)
    assert result.status == 0, result
    [read] = re.findall(r"^(\d+) handshakes in 1 trace", result.stdout, re.M)
    assert 0 < int(read) < 1000
    assert re.search(r"^note: .*cut\.tlstall is damaged: read as far as possible", result.stdout, re.M), result


@pytest.mark.parametrize("size", [0, 1, 8, 100, 2000, 2496, 3000, 40000])
def test_cut_anywhere(maker, directory, size):
    cut = directory / "cut.tlstall"
    cut.write_bytes(maker.make(100).read_bytes()[:size])
    result = report(cut)
    assert result.status in (0, 1), result
    assert "cut.tlstall" in (result.stderr if result.status else result.stdout), result


def test_scrambled(maker, directory):
    """Zeros and noise in the middle: it ends normally, and either reports the damage or reads on."""
    data = bytearray(maker.make(300).read_bytes())
    for place in range(4000, len(data), 1000):
        data[place:place + 64] = bytes((place * 7 + k * 31) % 256 for k in range(64))
    path = directory / "noise.tlstall"
    path.write_bytes(data)
    for options in ([], ["--format", "jsonl"], ["--html", directory / "page.html"]):
        assert report(*options, path).status == 0


def test_others_are_read_still(maker, directory):
    good, text, newer = maker.make(100), directory / "notes.txt", directory / "newer.tlstall"
    text.write_text("these are not the bytes you are looking for\n" * 100)
    data = bytearray(good.read_bytes())
    struct.pack_into("<H", data, MAJOR_AT, 7)
    newer.write_bytes(data)
    result = report(text, newer, good, directory / "absent")
    assert result.status == 1
    assert "100 handshakes in 1 trace" in result.stdout
    assert re.search(rf"^tlstall: {text}: not a trace file$", result.stderr, re.M), result
    assert re.search(rf"^tlstall: {newer}: .*\b7\.\d.* 1\.x$", result.stderr, re.M), result
    assert re.search(rf"^tlstall: {directory}/absent: No such file", result.stderr, re.M), result
    assert all(line.startswith("tlstall: ") for line in result.stderr.splitlines())


def test_empty_directory(directory):
    result = report(directory)
    assert result.status == 1 and result.stdout == ""
    assert re.match(rf"tlstall: no trace in {directory}\b", result.stderr), result


def test_not_allowed_to_read(maker, directory):
    path = directory / "secret.tlstall"
    shutil.copy(maker.make(10), path)
    path.chmod(0)
    directory.chmod(0o755)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    products = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-", dir=directory))
    products.chmod(0o755)
    result = run([*as_nobody, tracing.copy_products(products), "report", path])
    assert result.status == 1 and "Permission denied" in result.stderr, result


# ---- writing -------------------------------------------------------------------------------

def test_page_is_one_file(maker, directory):
    page = directory / "page.html"
    result = report("--html", page, maker.make(100))
    assert (result.status, result.stdout, result.stderr) == (0, "", ""), result
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>") and text.rstrip().endswith("</html>")
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    piped = report("--html", "-", maker.make(100))
    assert piped.stdout.startswith("<!DOCTYPE html>") and abs(len(piped.stdout) - len(text)) < 100


def test_full_disk(maker):
    path = maker.make(1000)
    for argument in ([], ["--format", "jsonl"], ["--html", "-"]):
        with open("/dev/full", "w") as full:
            result = subprocess.run([TLSTALL, "report", *argument, path], stdout=full, stderr=subprocess.PIPE,
                                    text=True, env=tracing.environment())
        assert result.returncode == 1 and "No space left on device" in result.stderr, (argument, result)
        assert result.stderr.startswith("tlstall: ") and result.stderr.count("\n") == 1
    result = report("--html", "/dev/full", path)
    assert result.status == 1 and "No space left on device" in result.stderr, result
    assert os.path.exists("/dev/full")


@pytest.mark.parametrize("script", ['cat "$1" | "$0" report -', '"$0" report <(cat "$1")'])
def test_a_pipe(maker, script):
    path = maker.make(20)
    plain, piped = report(path), run(["/bin/bash", "-c", script, TLSTALL, path])
    assert piped.status == 0 and not piped.stderr, piped
    assert piped.stdout.splitlines()[0].startswith("20 handshakes in 1 trace (") and "(0 B)" not in piped.stdout, piped
    assert piped.stdout.splitlines()[1:5] == plain.stdout.splitlines()[1:5]


def test_a_disk_that_fails_meanwhile(maker, directory):
    """What can be read is reported, and the error is told."""
    path = maker.make(1000)
    reads = tracing.run(["/usr/bin/strace", "-f", "-qq", "-e", "trace=pread64", "-o", directory / "log", TLSTALL, "report", path])
    count = len((directory / "log").read_text().splitlines())
    result = tracing.run(["/usr/bin/strace", "-f", "-qq", "-e", f"inject=pread64:error=EIO:when={count // 8}+", "-o", "/dev/null",
                          TLSTALL, "report", path])
    assert reads.status == 0 and result.status == 1, result
    assert result.stderr == f"tlstall: {path}: Input/output error\n" and "overwritten" not in result.stdout, result


@pytest.mark.parametrize("command,form", [("report", form) for form in ("text", "html", "jsonl")] +
                                         [("export", form) for form in ("csv", "perfetto", "sqlite")])
def test_memory_that_runs_out(maker, directory, command, form):
    """Each allocation fails by turns: what is written is whole, or it fails and says so."""
    failing, output = memory.Failing(directory), directory / "output"
    path = maker.make(60)

    def made_with(fail_at):
        output.unlink(missing_ok=True)
        result = run([TLSTALL, command, "--format", form, "-o", output, path], env=failing.env(fail_at))
        assert result.status in (0, 1), result
        assert result.status == 0 or "memory" in result.stderr.lower(), result
        return result.status == 0 and output.stat().st_size

    whole, count = made_with(0), failing.count
    sizes = [made_with(fail_at) for fail_at in range(1, count, count // 90 + 1)]
    assert set(sizes) == {False, whole}, sizes


def test_a_pipe_of_somebody_else_keeps_nobody_waiting(directory):
    os.mkfifo(directory / "x.tlstall")
    result = report(directory / "x.tlstall")
    assert (result.status, result.stderr) == \
        (1, f"tlstall: {directory}/x.tlstall is a pipe or a device, not a trace ('-' reads standard input)\n"), result


def test_no_half_page_is_left(maker, directory):
    page = directory / "page.html"
    result = run(["/bin/sh", "-c", 'ulimit -f 64; trap "" XFSZ; exec "$@"', "sh", TLSTALL, "report", "--html", page,
                  maker.make(1000)])
    assert result.status == 1 and re.match(rf"tlstall: writing the report to {page} failed: File too large", result.stderr)
    assert not page.exists()


def test_page_into_a_missing_directory(maker, directory):
    result = report("--html", directory / "no" / "page.html", maker.make(10))
    assert result.status == 1 and "No such file or directory" in result.stderr, result


# ---- usage -----------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [[], ["--no-such-option", "x"], ["--format", "yaml", "x"], ["--html"],
                                       ["--details", "many", "x"], ["--details", "-1", "x"],
                                       ["--html", "x", "--format", "jsonl", "y"]])
def test_wrong_usage(arguments):
    result = report(*arguments)
    assert (result.status, result.stdout) == (2, ""), result
    assert result.stderr.startswith("tlstall: ") and "tlstall report" in result.stderr


def test_number_of_details(maker):
    path = maker.make(3300)
    assert report("-n", "0", path).stdout.count("handshake ") == 0
    three = report("--details", "3", path).stdout.split("The worst of each group")[1]
    assert len(re.findall(r", handshake \d+$", three, re.M)) == 3, three
