# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a trace, its directory and its disk, and whoever writes to them: the program
behaves as without the shim, and whatever can be recorded is recorded."""
import concurrent.futures
import contextlib
import fcntl
import json
import os
import random
import re
import resource
import signal
import struct
import subprocess
import time

import pytest

import servers
import tracing
from tracing import PROGRAMS, SHIM, TLSTALL

HARM = PROGRAMS / "harm"
BUS = ("plain", "before", "before_on_this_stack", "after", "by_all_ways", "once", "killed_by_fault",
       "killed_though_ignored", "killed_by_sending", "blocked", "blocked_from_the_start", "threads", "forks",
       "vforks", "handlers", "interrupting", "masks_of_others", "blocked_as_in_bsd", "blocked_for_a_while")


def environment(directory, **settings):
    return {"LD_PRELOAD": str(SHIM), "TLSTALL_DIR": str(directory),
            **{f"TLSTALL_{name}": value for name, value in settings.items()}}


def preloaded(argv, directory, **settings):
    return tracing.run(argv, env=environment(directory, **settings))


def same(argv, directory, **settings):
    """It behaves with the shim as without."""
    plain, beside = tracing.run(argv), preloaded(argv, directory, **settings)
    tracing.compare(plain, beside)
    return beside


def report(directory):
    result = tracing.run([TLSTALL, "report", "--format", "jsonl", directory])
    assert result.status == 0, result
    return [record for record in map(json.loads, result.stdout.splitlines()) if record["type"] == "handshake"]


def traces(directory):
    return sorted(path for path in directory.iterdir() if path.suffix == ".tlstall")


def notes(directory):
    return [path.name.partition(".failed-")[2] for path in directory.iterdir() if ".failed-" in path.name]


@contextlib.contextmanager
def mounted(directory, *arguments):
    if os.getuid() != 0 or subprocess.run(["mount", *arguments, directory], check=False,
                                          capture_output=True).returncode:
        pytest.skip("mounting a file system needs more rights")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


# ---- truncated, and full ----------------------------------------------------------

@pytest.mark.parametrize("what", BUS)
def test_sigbus_is_the_programs(directory, what):
    """The program truncates its own trace; its dispositions, masks and pending signals stay correct."""
    same([HARM / "bus", what], directory)


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_truncated_as_soon_as_it_has_a_name(directory, mode):
    """strace holds the program up in the system call that gives it the name."""
    plain = tracing.run([PROGRAMS / "bio_pair"])
    argv = ["/usr/bin/strace", "-qq", "-o", "/dev/null", "-e", "inject=linkat:delay_exit=1000000",
            *(word for name, value in environment(directory, MODE=mode).items() for word in ("-E", f"{name}={value}")), PROGRAMS / "bio_pair"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=tracing.environment()) as process:
        servers.await_that(lambda: traces(directory), "a trace")
        os.truncate(traces(directory)[0], 0)
        output, errors = process.communicate()
    tracing.compare(plain, tracing.Result(process.returncode, output, errors))


@pytest.mark.parametrize("function", ["sigsuspend", "ppoll", "checked_ppoll", "pselect", "epoll_pwait", "epoll_pwait2", "sigpause",
                                      "sigpause_for_one", "longjmp", "siglongjmp", "setcontext", "swapcontext"])
@pytest.mark.parametrize("mode", ["all", "watch"])
def test_mask_exchanged_by(directory, function, mode):
    """By a function that waits, for as long as it does, or by a jump."""
    assert same([HARM / "masks", function], directory, MODE=mode).status == 0


@pytest.mark.parametrize("what", ["no_mapping_left", "little_may_be_locked", "one_page_may_be_locked", "little_data", "no_address_left"])
@pytest.mark.parametrize("mode", ["all", "watch"])
def test_truncated_at_a_limit(directory, what, mode):
    same([HARM / "limits", what], directory, MODE=mode)


@pytest.mark.parametrize("what", ["less_address_than_it_has", "no_page_may_be_locked", "sealed", "sealed_and_cut_in_part"])
@pytest.mark.parametrize("mode", ["all", "watch"])
def test_truncated_where_no_memory_may_be(directory, what, mode):
    """The trace gets its length back, and begins anew."""
    assert same([HARM / "limits", what], directory, MODE=mode).status == 0
    kernel = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    if kernel >= (6, 10) or "sealed" not in what:
        [trace] = traces(directory)
        assert counted(trace, LOST_TRACES) == 1 + (what == "sealed_and_cut_in_part")
        assert {record["outcome"] for record in report(directory)} == {"ok"}


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_what_comes_after_is_recorded(directory, mode):
    """Handshakes go to another file, which depends on nothing in the lost one: names and free places."""
    with subprocess.Popen([HARM / "bus", "plain"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=tracing.environment(**environment(directory, MODE=mode))) as process:
        assert "client WANT_READ\n" in process.stdout
        shown = tracing.run([TLSTALL, "ps", "--format", "jsonl"], env={"TLSTALL_DIR": str(directory)})
        hangs, = [r for r in map(json.loads, shown.stdout.splitlines()) if r["type"] == "handshake"]
    *lost, last = sorted(traces(directory), key=lambda path: path.stat().st_size)
    assert lost and not any(path.stat().st_size for path in lost), lost
    last = report(last)
    bad, = [h for h in last if h["outcome"] != "ok"]
    assert len(last) > 2 and bad["handshake"] == hangs["handshake"], (last, hangs)
    # the number of an earlier handshake, whose object may still be in use, is not given to another one
    assert bad["handshake"] % 2 ** 32 == 5 * (2 * 4 + 2 + 2) + 1, bad
    assert all(state["state"] for h in last for state in h["states"]), last


DEEDS = {"truncate": lambda path: os.truncate(path, 0),
         "overwrite": lambda path: path.write_bytes(path.read_bytes()),
         "noise": lambda path: path.write_bytes(random.Random(1).randbytes(100000)),
         "remove": lambda path: path.unlink()}


@contextlib.contextmanager
def looping(directory, seconds, runtime=None, **settings):
    """A program that makes handshakes in a loop, and has begun. `runtime`: where its default directory is."""
    process = subprocess.Popen([HARM / "loop", str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env=tracing.environment(**environment(directory, **settings),
                                                                  **({"XDG_RUNTIME_DIR": str(runtime)} if runtime else {})))
    assert process.stdout.readline() == "begun\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("deed", DEEDS)
def test_done_to_the_file(directory, deed):
    with looping(directory, 1) as process:
        for path in traces(directory):
            DEEDS[deed](path)
        assert process.communicate()[0] == "ok\n" and process.returncode == 0


def test_directory_goes_away(directory):
    """Another directory of that name is not ours, although it is writable."""
    place = directory / "traces"
    place.mkdir()
    with looping(place, 1) as process:
        os.truncate(traces(place)[0], 0)
        place.rename(directory / "moved")
        place.mkdir()
        assert process.communicate()[0] == "ok\n" and process.returncode == 0
    assert not list(place.iterdir())


def fill(directory):
    with open(directory / "fill", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


LOST_MEMORY, LOST_TRACES, HANDSHAKES = 1168, 1176, 2304  # offsets in the header


def counted(trace, offset):
    with open(trace, "rb") as file:
        return struct.unpack("<Q", os.pread(file.fileno(), 8, offset))[0]


def ends_well(process):
    process.terminate()
    assert process.communicate()[0] == "ok\n" and process.returncode == 0


def goes_on_in_next_trace(process, place, runtime, reasons, make_room):
    """The disk became full while the process was stopped, so it cannot write to the header of its trace. It lives
    on, and once there is room it has another trace, which counts the lost one."""
    [lost] = traces(place)
    frozen = counted(lost, HANDSHAKES)
    told = lambda: {note for at in (place, runtime / "tlstall") if at.exists() for note in notes(at)}
    process.send_signal(signal.SIGCONT)
    servers.await_that(lambda: told() & reasons, told)
    make_room()
    servers.await_that(lambda: len(traces(place)) == 2, told)
    [trace] = set(traces(place)) - {lost}
    # its counter goes on from those that no trace has
    servers.await_that(lambda: "ok" in str(report(trace)), "a handshake in the next trace")
    ends_well(process)
    assert (counted(trace, LOST_TRACES), counted(trace, LOST_MEMORY), counted(lost, HANDSHAKES)) == (1, 0, frozen)
    shown = tracing.run([TLSTALL, "report", trace]).stdout
    assert "earlier traces of this process were lost: 1" in shown and "ok" in str(report(trace)), shown
    assert not told()  # it no longer lacks a trace


def loses_pages(process, trace):
    """The header is there, and counts the pages that are not."""
    servers.await_that(lambda: counted(trace, LOST_MEMORY), "what was lost is counted")
    ends_well(process)
    assert counted(trace, LOST_TRACES) == 0 and "ok" in str(report(trace))
    assert "could not be written: the disk was full" in tracing.run([TLSTALL, "report", trace]).stdout


def test_disk_fills_up(directory):
    with mounted(directory, "-t", "tmpfs", "-o", "size=2m", "tlstall-test"):
        with looping(directory, 60) as process:
            fill(directory)
            [trace] = traces(directory)
            loses_pages(process, trace)


def test_truncated_after_pages_were_lost(directory):
    """The next trace counts a lost trace, and no pages: it lost none."""
    with mounted(directory, "-t", "tmpfs", "-o", "size=8m", "tlstall-test"):
        with looping(directory, 60) as process:
            fill(directory)
            [lost] = traces(directory)
            servers.await_that(lambda: counted(lost, LOST_MEMORY), "what was lost is counted")
            (directory / "fill").unlink()
            os.truncate(lost, 0)
            servers.await_that(lambda: len(traces(directory)) == 2, "the next trace")
            ends_well(process)
        [trace] = set(traces(directory)) - {lost}
        assert (counted(trace, LOST_TRACES), counted(trace, LOST_MEMORY)) == (1, 0)


def test_copy_on_write_disk_fills_up(directory):
    image, disk = directory / "image", directory / "disk"
    disk.mkdir()
    with open(image, "wb") as file:
        file.truncate(130 << 20)
    if subprocess.run(["mkfs.btrfs", "-q", image], check=False, capture_output=True).returncode:
        pytest.skip("no btrfs")

    def make_room():
        (disk / "fill").unlink()
        os.sync()

    with mounted(disk, "-o", "loop", str(image)), looping(disk, 60, directory, SIZE="16M") as process:
        process.send_signal(signal.SIGSTOP)
        fill(disk)
        os.sync()
        goes_on_in_next_trace(process, disk, directory, {"ENOSPC", "FULL"}, make_room)


# ---- overwritten by others ----------------------------------------------------------

@pytest.mark.parametrize("seed", range(12))
def test_scribbled_upon(directory, seed):
    """A child taken over by an attacker writes random bytes everywhere while its parent makes handshakes."""
    same([HARM / "scribble", str(seed)], directory, SIZE=("256K", "2M")[seed % 2])


def test_misled(directory):
    """What the file says about descriptors and BIOs is not what the shim accesses."""
    same([HARM / "misled"], directory)
    assert [record["outcome"] for record in report(directory)].count("ok") == 4


# ---- no trace, with a note --------------------------------------------------------

def test_no_descriptor_is_told(directory):
    same([HARM / "no_descriptor"], directory)
    assert notes(directory) == ["EMFILE"] and not traces(directory)


def test_descriptor_comes_free(directory):
    same([HARM / "no_descriptor", "later"], directory)
    assert len(report(directory)) == 2
    assert not notes(directory)


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_contexts_from_before_the_trace(directory, mode):
    """Their info callbacks are called as without the shim, also one that is set in the middle of a handshake."""
    same([HARM / "late_callback"], directory, MODE=mode)
    assert [h["outcome"] for h in report(directory)] == ["ok", "ok"]


def test_missing_directory_is_made(directory):
    same([PROGRAMS / "bio_pair"], directory / "new")
    assert report(directory / "new") and (directory / "new").stat().st_mode & 0o777 == 0o700


def test_missing_directory_is_told_in_the_default_one(directory):
    same([PROGRAMS / "bio_pair"], directory / "far" / "away")
    result = tracing.run([PROGRAMS / "bio_pair"], env={**environment(directory / "far" / "away"),
                                                       "XDG_RUNTIME_DIR": str(directory)})
    assert result.status == 0 and notes(directory / "tlstall") == ["ENOENT"]


def test_read_only_directory(directory):
    with mounted(directory, "-t", "tmpfs", "-o", "ro,size=10m", "tlstall-test"):
        same([PROGRAMS / "bio_pair"], directory)


@pytest.mark.parametrize("mode,seen", [(0o777, ["SHARED"]), (0o1777, []), (0o702, ["SHARED"]), (0o755, [])])
def test_directory_of_all(directory, mode, seen):
    directory.chmod(mode)
    same([PROGRAMS / "bio_pair"], directory)
    assert notes(directory) == seen and bool(traces(directory)) != bool(seen)


LIMITS = [(resource.RLIMIT_FSIZE, 16384, "EFBIG"), (resource.RLIMIT_AS, 40 << 20, None),
          (resource.RLIMIT_NOFILE, 10, None), (resource.RLIMIT_NPROC, 0, None), (resource.RLIMIT_DATA, 4 << 20, None),
          (resource.RLIMIT_MEMLOCK, 0, None), (resource.RLIMIT_SIGPENDING, 0, None)]


@pytest.mark.parametrize("limit,value,note", LIMITS)
def test_limits(directory, limit, value, note):
    names = {resource.RLIMIT_FSIZE: "fsize", resource.RLIMIT_AS: "as", resource.RLIMIT_NOFILE: "nofile",
             resource.RLIMIT_NPROC: "nproc", resource.RLIMIT_DATA: "data", resource.RLIMIT_MEMLOCK: "memlock",
             resource.RLIMIT_SIGPENDING: "sigpending"}
    limited = ["prlimit", f"--{names[limit]}={value}", PROGRAMS / "bio_pair"]
    same(limited, directory, SIZE="4M")
    assert notes(directory) == ([note] if note else [])
    assert note or report(directory)


def needs_chroot():
    if os.getuid() != 0:
        pytest.skip("chroot needs more rights")


def test_root_of_its_own(directory):
    """The existing trace continues; where its path leads elsewhere, nothing is made."""
    needs_chroot()
    (directory / "traces").mkdir()
    same([HARM / "jail", directory, "late"], directory / "traces")
    assert len(report(directory / "traces")) == 4
    assert [path.name for path in directory.iterdir()] == ["traces"]


def test_no_proc(directory):
    needs_chroot()
    (directory / "inside").mkdir()
    same([HARM / "jail", directory], "/inside")
    [trace] = traces(directory / "inside")
    assert re.fullmatch(r"\d+-0-[0-9a-f]{16}\.tlstall", trace.name)
    assert len(report(directory / "inside")) == 2


# ---- what is kept -------------------------------------------------------------------

def test_small(directory):
    for _ in range(20):
        preloaded([PROGRAMS / "bio_pair"], directory)
    for path in traces(directory):
        assert path.stat().st_blocks * 512 <= 64 << 10, path
    assert sum(path.stat().st_blocks for path in traces(directory)) * 512 / 20 <= 60 << 10


@pytest.mark.parametrize("keep,program,stays", [
    ("all", "bio_pair", True), ("bad", "bio_pair", False), ("bad", "refused_certificate", True),
    ("bad", "abandoned", True), ("none", "abandoned", False), ("none", "refused_certificate", False)])
def test_kept(directory, keep, program, stays):
    same([PROGRAMS / program], directory, KEEP=keep)
    assert bool(traces(directory)) == stays


def test_part_of_a_file_system_is_left(directory):
    with mounted(directory, "-t", "tmpfs", "-o", "size=40m", "tlstall-test"):
        (directory / "fill").write_bytes(bytes(39 << 20))
        same([PROGRAMS / "bio_pair"], directory)
        assert notes(directory) == ["FULL"] and not traces(directory)


def units(directory):
    return [sum(path.stat().st_size for path in directory.glob(f".{name}-*")) for name in ("taken", "given-back")]


def test_limit_of_a_directory(directory):
    """It is kept without reading the directory; removing traces makes room again."""
    for _ in range(16 + 1):
        same([PROGRAMS / "bio_pair"], directory, LIMIT="1M")
    assert len(traces(directory)) == 16 and notes(directory) == ["LIMIT"]
    assert units(directory) == [17, 0]
    shown = tracing.run([TLSTALL, "clean", "--keep-bytes", "300K", directory])
    assert shown.status == 0, shown
    left = len(traces(directory))
    assert 0 < left < 16 and units(directory) == [left + len(notes(directory)), 0]
    same([PROGRAMS / "bio_pair"], directory, LIMIT="1M")
    assert len(traces(directory)) == left + 1


def test_limit_counts_what_is_removed(directory):
    for _ in range(20):
        preloaded([PROGRAMS / "bio_pair"], directory, LIMIT="1M", KEEP="bad")
    assert units(directory) == [20, 20]
    preloaded([HARM / "loop", "0", "150"], directory, LIMIT="1M")
    [trace] = traces(directory)
    size = trace.stat().st_blocks * 512
    assert size > 256 << 10 and units(directory)[0] - 20 >= size / (64 << 10) * 0.7, (size, units(directory))


def test_limit_of_notes(directory):
    """Notes take space too: when there are too many, no more are left."""
    with open(directory / f".taken-{os.geteuid()}", "wb") as file:
        file.truncate(16 + 1024 - 2)
    for _ in range(4):
        same([PROGRAMS / "bio_pair"], directory, LIMIT="1M")
    assert notes(directory) == ["LIMIT"] * 2 and not traces(directory)


def test_no_limit(directory):
    same([PROGRAMS / "bio_pair"], directory, LIMIT="0")
    assert [path.suffix for path in directory.iterdir()] == [".tlstall"]


@pytest.mark.parametrize("take", [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("/dev/zero")],
                         ids=["directory", "fifo", "link"])
def test_name_of_the_count_is_taken(directory, take):
    take(directory / f".taken-{os.geteuid()}")
    same([PROGRAMS / "bio_pair"], directory)
    assert len(report(directory)) == 2


def test_killed_while_it_is_made(directory):
    """What remains is a readable trace, or nothing."""
    began = time.monotonic()
    assert preloaded([PROGRAMS / "bio_pair"], directory).status == 0
    whole = time.monotonic() - began  # on a busy machine it takes long until there is one
    for number in range(60):
        process = subprocess.Popen([PROGRAMS / "bio_pair"], stdout=subprocess.DEVNULL,
                                   env=tracing.environment(**environment(directory)))
        time.sleep(whole * number / 60)
        process.kill()
        process.wait()
    report(directory)
    assert all(path.suffix == ".tlstall" and path.stat().st_size for path in directory.iterdir()
               if not path.name.startswith((".taken-", ".given-back-")))


# ---- names -----------------------------------------------------------------------------

def test_namespaces(directory):
    """Each is process 1 of its own, and all start at once."""
    inside = ["unshare", "--pid", "--fork", "--mount-proc", HARM / "loop", "0.5"]
    if os.getuid() != 0 or tracing.run(inside[:4] + ["true"]).status:
        pytest.skip("namespaces need more rights")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        results = list(pool.map(lambda _: preloaded(inside, directory), range(12)))
    assert all((result.status, result.stdout) == (0, "begun\nok\n") for result in results), results
    assert len({path.name.split("-")[2] for path in traces(directory) if path.name.startswith("1-")}) == 12
    assert {record["pid"] for record in report(directory)} == {1}


def test_taken_names(directory):
    """Somebody has taken all predictable names: those files are left alone."""
    preloaded([PROGRAMS / "exec_middle"], directory)
    first, second = traces(directory)
    assert re.fullmatch(r"\d+-\d+-[0-9a-f]{16}(-1)?\.tlstall", first.name)
    assert {first.name.removesuffix(".tlstall") + "-1.tlstall", second.name.removesuffix(".tlstall") + "-1.tlstall"} & {
        first.name, second.name}
    outcomes = [record["outcome"] for record in report(directory)]
    assert "in_flight" not in outcomes, outcomes


def lease(path):
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    return file


PID, PID_NAMESPACE = 32, 1120  # offsets in the header


def strangers_trace(offset):
    """Occupies the name with the trace of another process."""
    def take(path, trace):
        path.write_bytes(trace[:offset] + bytes([trace[offset] ^ 1]) + trace[offset + 1:])
    return take


@pytest.mark.parametrize("take", [lambda path, _: lease(path), lambda path, _: os.mkfifo(path),
                                  lambda path, _: path.mkdir(), lambda path, _: path.symlink_to("/dev/zero"),
                                  lambda path, _: path.write_text("no trace") and None, strangers_trace(PID),
                                  strangers_trace(PID_NAMESPACE)],
                         ids=["lease", "fifo", "directory", "link", "file", "other pid", "other namespace"])
def test_name_that_can_be_foretold(directory, take):
    """The name of the next image: its owner keeps it, and the program does not wait."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    process = subprocess.Popen([HARM / "exec_later"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=tracing.environment(**environment(directory)))
    try:
        assert process.stdout.readline() == "first\n"
        [first] = traces(directory)
        trace = first.read_bytes()
        first.unlink()
        held = take(first, trace)
        seen = os.lstat(first)
        assert process.communicate("go on\n", timeout=10)[0] == "second\n" and process.returncode == 0
        after = os.lstat(first)
        assert (after.st_ino, after.st_size, after.st_mtime) == (seen.st_ino, seen.st_size, seen.st_mtime)
        if held:
            os.close(held)
    finally:
        process.kill()
        process.wait()
        signal.signal(signal.SIGIO, before)
    second = directory / (first.stem + "-1.tlstall")
    assert '"outcome":"ok"' in tracing.run([TLSTALL, "report", "--format", "jsonl", second]).stdout.replace(" ", "")


def test_fifo_of_our_name(directory):
    """Files with our names that are not traces are never opened in a way that waits."""
    place = directory / "traces"
    os.mkfifo(place)
    result = tracing.run([PROGRAMS / "bio_pair"], env={**environment(place), "XDG_RUNTIME_DIR": str(directory)},
                         timeout=20)
    assert result.status == 0 and notes(directory / "tlstall") == ["ENOTDIR"]


# ---- many processes -------------------------------------------------------------------

def test_many_at_once(directory):
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        results = list(pool.map(lambda _: preloaded([PROGRAMS / "bio_pair"], directory, SIZE="256K"), range(200)))
    assert {(result.status, result.stderr) for result in results} == {(0, "")}
    assert len(traces(directory)) == 200


def test_killed_at_any_moment(directory):
    for number in range(10):
        with looping(directory, 5) as process:
            time.sleep(random.Random(number).uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert len(report(directory)) >= 10
