# SPDX-License-Identifier: Apache-2.0
"""Unusual processes, threads and clocks, faulty file systems, and kills: the program behaves as without
the shim, and its handshakes are recorded, or the trace says what was lost.

TLSTALL_TEST_MANY multiplies the repetitions of tests that depend on chance.
"""
import concurrent.futures
import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

import test_linked
import tracing
from test_harm_trace import (environment, fill, goes_on_in_next_trace, looping, loses_pages, mounted, notes, preloaded, report,
                             same, traces)
from tracing import PROGRAMS, SHIM

HARM = PROGRAMS / "harm"
MANY = int(os.environ.get("TLSTALL_TEST_MANY", "1"))


def outcomes(directory):
    return [record["outcome"] for record in report(directory)]


def needs(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not there")


# ---- handshakes in unexpected places --------------------------------------------------

@pytest.mark.parametrize("where,good,bad", [
    ("_Fork", 6, 0), ("clone", 6, 0), ("clone_vm", 6, 0), ("exec_chain", 14, 0), ("exit_in_callback", 4, 1),
    ("cancel_deferred", 4, 1), ("cancel_asynchronous", 4, 1), ("signal_handler", 8, 0), ("atexit", 6, 0),
    ("destructor", 4, 0)])
@pytest.mark.parametrize("mode", ["all", "watch"])
def test_handshakes_in_odd_places(directory, where, good, bad, mode):
    result = same([HARM / "odd", where], directory, MODE=mode)
    assert result.status == 0, result
    found = outcomes(directory)
    assert (found.count("ok"), len(found) - found.count("ok")) == (good, bad), found


@pytest.mark.parametrize("when,done", [("first", 2), ("later", 4)])
@pytest.mark.parametrize("mode", ["all", "watch"])
def test_locked_loader(directory, when, done, mode):
    """A process is forked while another thread holds the loader's lock, which stays locked in the child."""
    result = same([HARM / "locked_loader", when], directory, MODE=mode)
    assert result.status == 0 and "child: ended" in result.stdout, result
    assert outcomes(directory) == ["ok"] * done


# What it does to itself, and how many handshakes are recorded if it does so between two, and before the
# first. None: it may have no trace then. A program that gets itself killed is also killed without the shim.
@pytest.mark.parametrize("deed,between,before", [
    ("no_descriptors", 4, None), ("no_memory_locked", 4, 2), ("no_processes", 4, 2), ("no_file_size", 4, None),
    ("not_dumpable", 4, 2), ("no_environment", 4, 2), ("other_user", 4, None), ("everything_closed", 4, 2),
    ("no_counter", 4, 2), ("no_cpuid", 4, 2), ("memory_locked", 6, 4), ("memory_gone", 4, None),
    ("strict", 2, None), ("strict_by_itself", 2, None), ("dispatched", 4, None), ("storm", 64, 62), ("all_blocked", 4, 2),
    ("all_ignored", 4, 2), ("thread_ends", 10, 8), ("main_ends", 64, 62), ("daemonized", 6, 4), ("shell", 4, 2),
    ("traced_by_parent", 6, 4), ("address_space", 4, None), ("limited_from_outside", 4, None), ("kept_from_children", 8, 6), ("unloads_itself", 4, 2), ("not_root", 4, None)])
@pytest.mark.parametrize("mode", ["all", "watch"])
def test_hostile_to_itself(directory, deed, between, before, mode):
    for when, expected in ("later", between), ("first", before):
        place = directory / when
        place.mkdir()
        same([HARM / "hostile", deed, when], place, MODE=mode)
        if expected is not None:
            assert outcomes(place).count("ok") == expected, outcomes(place)


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_counter_that_may_not_be_read(directory, mode):
    """Forbidden by a system call that is not libc's prctl(): the kernel tells when the trace is made."""
    same([HARM / "hostile", "no_counter_unannounced", "first"], directory, MODE=mode)
    assert outcomes(directory) == ["ok"] * 2


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_bytes_moved_by_io_uring(directory, mode):
    if tracing.run([HARM / "ring"]).status == 77:
        pytest.skip("no io_uring here")
    result = same([HARM / "ring"], directory, MODE=mode)
    assert result.status == 0 and outcomes(directory) == ["ok"] * 6, result


# ---- plugins --------------------------------------------------------------------------

@pytest.fixture(scope="module")
def unloads(tmp_path_factory):
    """A host and three plugins that are loaded where plugins of another size were."""
    place, source = tmp_path_factory.mktemp("unloads"), tracing.ROOT / "tests/programs"
    compiler = [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g"]
    subprocess.run([*compiler, source / "reach/unloads.c", "-o", place / "host", "-ldl", "-lpthread"], check=True)
    for number in "123":
        subprocess.run([*compiler, "-shared", "-fPIC", "-Wl,-Bsymbolic", f"-DPADDED={number}", source / "reach/unloaded.c",
                        source / "common.c", "-o", place / f"{number}.so", "-lssl", "-lcrypto"], check=True)
    return lambda threads: [place / "host", str(threads), *(place / f"{number}.so" for number in "123")]


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("mode", ["all", "watch"])
def test_plugin_is_unloaded(directory, unloads, threads, mode):
    """Between two handshakes, and by one thread while others are in the middle of one."""
    result = same(unloads(threads), directory, MODE=mode)
    assert (result.status, result.stdout) == (0, "all unloaded\n"), result
    found = report(directory)
    assert [record["outcome"] for record in found] == ["ok"] * 20 * threads
    # the walk went through the plugin, and up to the thread's function in the host
    assert all(any("work" in frame and "(host)" in frame for frame in record["stack"]) for record in found if "stack" in record), found
    assert mode == "watch" or all("stack" in record for record in found)


@pytest.fixture(scope="module")
def openssl_in_plugins(tmp_path_factory):
    """A host, and three plugins that contain OpenSSL, each with another layout, at addresses where another one was."""
    place, source = tmp_path_factory.mktemp("in_plugins"), tracing.ROOT / "tests/programs"
    compiler = [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g"]
    subprocess.run([*compiler, source / "reach/comes_again.c", "-o", place / "host", "-ldl"], check=True)
    for number in "123":
        # libc has a function named step
        subprocess.run([*compiler, "-shared", "-fPIC", f"-DPADDED={number}", "-Dstep=one_step", source / "reach/with_openssl.c",
                        source / "common.c", "-o", place / f"{number}.so", "-Wl,--whole-archive",
                        *test_linked.static_libraries()[:3], "-Wl,--no-whole-archive", *test_linked.static_libraries()[3:]], check=True)
    return lambda where, count: [place / "host", where, *(place / f"{number}.so" for number in "123"[:count])]


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("mode", ["all", "watch", "off"])
def test_plugin_leaves_with_its_openssl(directory, openssl_in_plugins, where, count, mode):
    """As database drivers do, which are loaded for each connection: the next OpenSSL has its functions elsewhere,
    or has the same ones, but knows nothing of what was registered with the last one."""
    result = same(openssl_in_plugins(where, count), directory, MODE=mode)
    assert (result.status, result.stdout) == (0, "".join(f"{i}: 1\n" for i in range(10 * count))), result
    assert mode == "off" or outcomes(directory) == ["ok"] * 20 * count


@pytest.fixture(scope="module")
def swaps(tmp_path_factory):
    """A host and two plugins that differ in nothing but names: one lies where the other was, down to each function."""
    place, source = tmp_path_factory.mktemp("swaps"), tracing.ROOT / "tests/programs"
    compiler = [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g"]
    subprocess.run([*compiler, source / "reach/unloads.c", "-o", place / "host", "-ldl", "-lpthread"], check=True)
    for kind in "PLAIN", "AT_LOAD", "KEPT":
        (place / kind).mkdir()
        for name in "alpha", "gamma":
            subprocess.run([*compiler, "-shared", "-fPIC", "-Wl,-Bsymbolic", f"-DNAME={name}", f'-DSERVER="{name}"', f"-D{kind}=1",
                            source / "reach/swapped.c", source / "common.c", "-o", place / kind / f"{name}.so", "-lssl", "-lcrypto"], check=True)
    return lambda threads, kind: [place / "host", str(threads), place / kind / "alpha.so", place / kind / "gamma.so"]


@pytest.mark.parametrize("threads,kind", [(0, "PLAIN"), (1, "PLAIN"), (8, "PLAIN"), (1, "AT_LOAD"), (1, "KEPT"), (1, "DEEP")])
@pytest.mark.parametrize("mode", ["all", "handshake"])
def test_plugin_where_another_was(directory, swaps, threads, kind, mode):
    """In the same process or in another child, which shares the trace: stacks name the right one."""
    deep = {"DEEP": "1"} if kind == "DEEP" else {}
    result = tracing.run(swaps(threads, "PLAIN" if deep else kind), env={**environment(directory, MODE=mode), **deep})
    assert (result.status, result.stdout) == (0, "all unloaded\n"), result
    assert threads != 1 or int(result.stderr) == 9
    assert threads != 0 or len(set(result.stderr.split())) == 1
    clients = [record for record in report(directory) if record["role"] == "client"]
    assert len(clients) == {0: 11, 1: 10, 8: 80}[threads] and {record["sni"] for record in clients} == {"alpha", "gamma"}
    for record in clients:
        name, other = record["sni"], {"alpha": "gamma", "gamma": "alpha"}[record["sni"]]
        assert any(frame.startswith(name) and frame.endswith(f"({name}.so)") for frame in record["stack"]), record
        assert not any(other in frame for frame in record["stack"]), record


# ---- stacks ---------------------------------------------------------------------------

def depths(directory, name, **settings):
    out = directory / name
    result = tracing.run([HARM / "depth", out], env={"LD_BIND_NOW": "1", **settings})
    assert (result.status, result.stdout) == (0, "done\n"), result
    return {key: int(value) for key, value in map(str.split, out.read_text().splitlines())}


@pytest.mark.parametrize("mode", ["all", "watch"])
def test_stack_of_a_thread(directory, mode):
    """A call of ours uses little stack itself, and almost none beyond the depth that OpenSSL uses."""
    place = directory / "traces"
    plain, beside = depths(directory, "plain"), depths(directory, "beside", **environment(place, MODE=mode))
    added = {key: beside[key] - plain[key] for key in plain}
    assert len(outcomes(place)) > 4 and len(added) == 7
    assert max(added.values()) <= 4096, added
    assert max(added["handshake"], added["failed"]) <= 1024, added
    assert added["least"] <= 4096, (plain, beside)  # whole pages


# ---- ids and clocks -------------------------------------------------------------------

def test_id_comes_again(directory):
    """Two processes with the same id in one namespace: each has its own trace."""
    again = "echo 100 >/proc/sys/kernel/ns_last_pid && $0; "
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", again * 3, HARM / "loop"]
    if os.getuid() != 0 or tracing.run([*inside[:4], "true"]).status:
        pytest.skip("namespaces need more rights")
    result = preloaded(inside, directory)
    assert (result.status, result.stdout) == (0, "begun\nok\n" * 3), result
    assert [path.name.split("-")[0] for path in traces(directory)] == ["101"] * 3
    assert outcomes(directory) == ["ok"] * 6


@pytest.mark.parametrize("clock", ["@2030-01-01 00:00:00 x1000", "-3d", "+1d x0.1"])
def test_clock_that_lies(directory, clock):
    """Set by an administrator, and running faster or slower than real time."""
    needs("faketime")
    library = tracing.run(["faketime", "-f", "+0", "printenv", "LD_PRELOAD"]).stdout.strip().split(":")[-1]
    settings = {"FAKETIME": clock, "DONT_FAKE_MONOTONIC": "0", "FAKETIME_NO_CACHE": "1"}
    plain = tracing.run([HARM / "odd", "clone"], env={**settings, "LD_PRELOAD": library})
    beside = tracing.run([HARM / "odd", "clone"],
                         env={**environment(directory), **settings, "LD_PRELOAD": f"{SHIM}:{library}"})
    assert plain.status == 0, plain
    tracing.compare(plain, beside)
    assert outcomes(directory) == ["ok"] * 6


# ---- disks ----------------------------------------------------------------------------

@contextlib.contextmanager
def ext4(directory, size):
    needs("mkfs.ext4")
    image, disk = directory / "image", directory / "disk"
    disk.mkdir()
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, capture_output=True)
    with mounted(disk, "-o", "loop", str(image)):
        yield disk


def test_ext4_is_full(directory):
    with ext4(directory, 16 << 20) as disk:
        fill(disk)
        same([PROGRAMS / "bio_pair"], disk)
        assert not traces(disk) and set(notes(disk)) <= {"ENOSPC", "FULL"} and notes(disk)


@contextlib.contextmanager
def quota(directory, limit):
    """A directory with a quota: a subvolume of btrfs."""
    needs("mkfs.btrfs")
    image, disk = directory / "image", directory / "disk"
    disk.mkdir()
    with open(image, "wb") as file:
        file.truncate(130 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True)
    with mounted(disk, "-o", "loop", str(image)):
        for command in (["quota", "enable", disk], ["subvolume", "create", disk / "limited"],
                        ["qgroup", "limit", limit, disk / "limited"]):
            subprocess.run(["btrfs", *command], check=True, capture_output=True)
        (disk / "limited").chmod(0o700)
        yield disk / "limited"


def use_up(place):
    """Fills the quota; the file system itself has room."""
    with open(place / "fill", "wb", buffering=0) as file, pytest.raises(OSError) as refused:
        while file.write(bytes(4096)):
            pass
    assert refused.value.errno == errno.EDQUOT


def test_quota_is_used_up(directory):
    with quota(directory, "2M") as place:
        use_up(place)
        default = directory / "tlstall"
        result = tracing.run([PROGRAMS / "bio_pair"], env={**environment(place), "XDG_RUNTIME_DIR": str(directory)})
        tracing.compare(tracing.run([PROGRAMS / "bio_pair"]), result)
        # a note takes room, too: if it cannot be there, it is in the default directory
        assert not traces(place) and notes(place) + (notes(default) if default.exists() else []) == ["EDQUOT"]


def test_quota_is_reached(directory):
    """It loses the trace, which it noted: a note takes room, too. The next trace, made once there is room, counts it."""
    with quota(directory, "24M") as place, looping(place, 60, directory, SIZE="16M") as process:
        process.send_signal(signal.SIGSTOP)
        use_up(place)
        goes_on_in_next_trace(
            process, place, directory, {"EDQUOT"},
            lambda: subprocess.run(["btrfs", "qgroup", "limit", "none", place], check=True, capture_output=True))


def test_ext4_fills_up(directory):
    with ext4(directory, 64 << 20) as disk:
        with looping(disk, 60, SIZE="32M") as process:
            fill(disk)
            [trace] = traces(disk)
            loses_pages(process, trace)


@pytest.mark.parametrize("call,error,note", [
    ("fallocate", "EDQUOT", "EDQUOT"), ("ftruncate", "EDQUOT", "EDQUOT"), ("ftruncate", "EIO", "EIO"),
    ("linkat", "EDQUOT", "EDQUOT"), ("linkat", "ENOSPC", "ENOSPC"), ("statfs", "EIO", None)])
def test_file_system_refuses(directory, call, error, note):
    """Quotas and disk errors: the kernel's answer is simulated."""
    needs("strace")
    place = directory / "traces"
    place.mkdir(mode=0o700)
    settings = [f"--env={name}={value}" for name, value in environment(place).items()]
    command = ["strace", "-qq", "-o", directory / "log", "-e", f"inject={call}:error={error}"]
    result = tracing.run([*command, *settings, PROGRAMS / "bio_pair"])
    if "ptrace" in result.stderr:
        pytest.skip("strace may not trace here")
    tracing.compare(tracing.run([PROGRAMS / "bio_pair"]), result)
    assert notes(place) == ([note] if note else []) and bool(traces(place)) != bool(note)


# ---- many processes -----------------------------------------------------------------------

def test_many_short_ones(directory):
    """One after the other, and in a directory with a limit."""
    count = 100 * MANY
    for _ in range(count):
        result = preloaded([PROGRAMS / "bio_pair"], directory, LIMIT="2M")
        assert (result.status, result.stderr) == (0, "")
    assert len(traces(directory)) == 32
    assert notes(directory) == ["LIMIT"] * min(count - 32, 1024)


def test_many_together(directory):
    """Each keeps its trace open until all have one."""
    count = 100 * MANY
    processes = [subprocess.Popen([HARM / "exec_later"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env=tracing.environment(**environment(directory, SIZE="256K")))
                 for _ in range(count)]
    try:
        assert all(process.stdout.readline() == "first\n" for process in processes)
        assert len(traces(directory)) == count
        assert all(process.communicate("go on\n")[0] == "second\n" for process in processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert {process.returncode for process in processes} == {0}
    assert len(traces(directory)) == 2 * count


# ---- kill -9 --------------------------------------------------------------------------------

def kill_at_random(argv, directory, chance, begun):
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True,
                               env=tracing.environment(**environment(directory)))
    if begun:
        assert process.stdout.readline() == "begun\n"
    time.sleep(chance.uniform(0, 0.03))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("kind", ["single", "threads", "forks", "creating"])
def test_killed(directory, kind):
    """Whatever it was doing, it leaves a readable trace, or nothing."""
    count, chance = 15 * MANY, random.Random(kind)
    argv = [HARM / "endless", "single" if kind == "creating" else kind]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: kill_at_random(argv, directory, chance, kind != "creating"), range(count)))
    if kind == "creating":
        assert all(path.stat().st_size for path in traces(directory))
        # a busy machine may not have let any of them make a handshake
        assert not traces(directory) or set(outcomes(directory)) <= {"ok", "in_flight", "abandoned"}
        return
    assert len(traces(directory)) == count
    found = outcomes(directory)
    assert found.count("ok") >= 2 * count and set(found) <= {"ok", "in_flight", "abandoned"}, set(found)
