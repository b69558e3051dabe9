# SPDX-License-Identifier: Apache-2.0
"""make bench-peers: the same program under the tools that one would use instead of tlstall.

Each records the same: entry or return of SSL_do_handshake and SSL_get_error, with the result and the
time. They take turns, round after round.
"""
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

from common import BIN, NotAvailable, environment

WORKLOAD = BIN / "peers/workload"
FIGURES = "SSL_do_handshake", "SSL_get_error", "handshake"
ROUNDS = 3


def libssl():
    text = subprocess.run(["ldd", WORKLOAD], text=True, stdout=subprocess.PIPE, check=True).stdout
    return re.search(r"libssl\.so\S* => (\S+)", text)[1]


def run(command, env=None, limit=120):
    done = subprocess.run([str(c) for c in command], env=env or environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit, check=False)
    if done.returncode:
        raise NotAvailable((done.stderr or done.stdout).strip().splitlines()[-1:] or "no output")
    found = dict(re.findall(r"^(\w+) ([\d.]+)$", done.stdout, re.M))
    if set(FIGURES) - set(found):
        raise NotAvailable((done.stderr or "the program printed nothing").strip()[-200:])
    return {name: float(found[name]) for name in FIGURES}


# ---- peers: each yields a function that runs one round ----------------------------------

@contextlib.contextmanager
def plain(_work):
    yield lambda: run([WORKLOAD])


@contextlib.contextmanager
def tlstall(work):
    yield lambda: run([WORKLOAD], environment(work))


@contextlib.contextmanager
def naive(work):
    env = environment(LD_PRELOAD=BIN / "peers/naive.so", NAIVE_OUTPUT=work / "lines")
    yield lambda: run([WORKLOAD], env)


@contextlib.contextmanager
def ltrace(work):
    yield lambda: run(["ltrace", "-ttt", "-e", "SSL_do_handshake+SSL_get_error", "-o", work / "lines",
                       WORKLOAD])


@contextlib.contextmanager
def uftrace(work):
    yield lambda: run(["uftrace", "record", "--force", "-d", work / "data", "-F", "SSL_do_handshake",
                       "-F", "SSL_get_error", WORKLOAD])


@contextlib.contextmanager
def strace(work):
    yield lambda: run(["strace", "-f", "--seccomp-bpf", "-k", "-e", "trace=read,write", "-o",
                       work / "lines", WORKLOAD])


@contextlib.contextmanager
def lttng(work):
    shim = BIN / "peers/lttng_shim.so"
    if not shim.exists():
        raise NotAvailable("liblttng-ust-dev is not installed")
    env = environment(LTTNG_HOME=work, LTTNG_UST_REGISTER_TIMEOUT=-1)
    daemon = subprocess.Popen(["lttng-sessiond", "--no-kernel"], env=env,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for words in (["create", "bench", "-o", work / "data"],
                      ["enable-event", "-u", "bench:call"], ["start"]):
            control(["lttng", "--no-sessiond", *map(str, words)], env)
        yield lambda: run([WORKLOAD], dict(env, LD_PRELOAD=str(shim)))
    finally:
        subprocess.run(["lttng", "--no-sessiond", "destroy", "bench"], env=env, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        daemon.terminate()
        daemon.wait()


def control(command, env):
    """The session daemon needs a moment before it listens."""
    for _ in range(100):
        done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise NotAvailable(done.stdout.strip()[-200:])


def in_tracefs(script, *arguments):
    """Uprobes need root and a tracefs, which is mounted for this command only."""
    mount = "mount -t tracefs tracefs /sys/kernel/tracing && mount -t debugfs debugfs /sys/kernel/debug"
    return ["unshare", "-m", "sh", "-c", f"{mount} && {script}", "sh", *arguments]


@contextlib.contextmanager
def perf_probe(work):
    group = f"tlstall_bench_{os.getpid()}"
    functions = "SSL_do_handshake", "SSL_get_error"
    make = " && ".join(f"perf probe -q -x {libssl()} --add {group}:{f}={f}" +
                       f" && perf probe -q -x {libssl()} --add {group}:{f}_ret={f}%return"
                       for f in functions)
    script = (f"{make} && perf record -q -e '{group}:*' -o {work}/perf.data {WORKLOAD}; status=$?; "
              f"perf probe -q --del '{group}:*'; exit $status")
    yield lambda: run(in_tracefs(script))


def bpftrace_of(program):
    @contextlib.contextmanager
    def peer(work):
        path = work / "program.bt"
        path.write_text(program())
        yield lambda: run(in_tracefs(f"exec bpftrace -o {work}/lines -c {WORKLOAD} {path}"))
    return peer


def own_script():
    library = libssl()
    return "".join(f"""
uprobe:{library}:{f} {{ @entered[tid] = nsecs; @ssl[tid] = arg0; }}
uretprobe:{library}:{f} /@entered[tid]/ {{
    printf("%d {f}(%lx) = %d <%d>\\n", tid, @ssl[tid], retval, nsecs - @entered[tid]);
}}
""" for f in ("SSL_do_handshake", "SSL_get_error"))


def sslsnoop_script():
    path = pathlib.Path("/usr/sbin/sslsnoop.bt")
    if not path.exists():
        raise NotAvailable("bpftrace's sslsnoop.bt is not there")
    return path.read_text(encoding="utf-8")


PEERS = {
    "(plain)": plain, "tlstall": tlstall, "LTTng-UST shim": lttng, "naive fprintf shim": naive,
    "uftrace --force": uftrace, "perf probe": perf_probe, "bpftrace, own script": bpftrace_of(own_script),
    "bpftrace, sslsnoop": bpftrace_of(sslsnoop_script), "ltrace": ltrace, "strace -k": strace,
}


def take():
    """Median of the rounds by peer and figure; why peers are missing."""
    times, missing = {}, {}
    with contextlib.ExitStack() as stack:
        rounds = {}
        for name, peer in PEERS.items():
            work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tlstall-peer-")))
            try:
                rounds[name] = stack.enter_context(peer(work))
                rounds[name]()
            except (NotAvailable, OSError, subprocess.TimeoutExpired) as why:
                missing[name] = why
                rounds.pop(name, None)
        for _ in range(ROUNDS):
            for name, one in rounds.items():
                for figure, value in one().items():
                    times.setdefault((name, figure), []).append(value)
        names = list(rounds)
    return names, {key: statistics.median(values) for key, values in times.items()}, missing


def added(times, name, figure):
    return times[name, figure] - times["(plain)", figure]


def cell(times, name, figure):
    if name == "(plain)":
        return f"{times[name, figure]:,.0f} ns"
    cost = added(times, name, figure)
    ratio = cost / added(times, "tlstall", figure)
    return f"+{cost:,.0f} ns" + ("" if name == "tlstall" else f" ({ratio:,.1f}x)")


def main():
    names, times, missing = take()
    print(f"| under | {' | '.join(FIGURES)} |")
    print("| --- | ---: | ---: | ---: |")
    for name in names:
        print(f"| {name} | {' | '.join(cell(times, name, figure) for figure in FIGURES)} |")
    for name, why in missing.items():
        print(f"not available: {name}: {why}", file=sys.stderr)


if __name__ == "__main__":
    main()
