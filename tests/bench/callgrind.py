# SPDX-License-Identifier: Apache-2.0
"""What the shim costs in instructions, from a callgrind output file.

`own` counts the instructions of libtlstall.so itself: they depend on our source and the compiler, not
on the patch level of libc or OpenSSL. `asked` counts those of the functions that it calls for its own
purposes (getters, memset, the unwinder). A wrapper's call of the real function counts as neither.
"""
import collections
import re
import subprocess

SHIM = "libtlstall.so"
LINE = re.compile(r"^(fn|ob|fl|fi|fe|cfn|cob|cfi|cfl)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"^(?:[+-]?\d+|\*)(?: \d+)?$")


def run(directory, command, env):
    """The output file for the second measured(), and the repeat count that the program printed."""
    path = f"{directory}/callgrind"
    done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}",
                           "--zero-before=measured", "--dump-after=measured", *map(str, command)],
                          env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip()[-300:]}")
    return f"{path}.2", int(done.stdout)


class Names:
    """callgrind writes a name once, and its number after that."""

    def __init__(self):
        self.known = {"fn": {}, "ob": {}, "fl": {}}

    def __call__(self, key, number, text):
        kind = {"fn": "fn", "cfn": "fn", "ob": "ob", "cob": "ob"}.get(key, "fl")
        if text is not None:
            self.known[kind][number] = text
        return self.known[kind][number]


def edges(path):
    """Yields (object, function, callee's object, callee, inclusive cost, calls); the own cost has no
    callee."""
    names, at = Names(), {"ob": "", "fn": "", "cob": None, "cfn": None}
    calls = None
    for line in open(path, encoding="utf-8", errors="replace"):
        named = LINE.match(line.rstrip("\n"))
        if named:
            at[named[1]] = names(*named.groups())
            continue
        if line.startswith("calls="):
            calls = int(line[6:].split()[0])
            continue
        if not COST.match(line):
            continue
        fields = line.split()
        instructions = int(fields[1]) if len(fields) > 1 else 0
        if calls is not None:
            yield at["ob"], at["fn"], at["cob"] or at["ob"], at["cfn"], instructions, calls
            at["cob"] = None
            calls = None
        else:
            yield at["ob"], at["fn"], None, None, instructions, 0


def is_forward(function, callee):
    """A wrapper's call of the function that it wraps, or of the program's own callback."""
    return (function.startswith(("record_", "get_error_ask")) and callee.startswith("SSL_")
            or function.split("'")[0] == callee.split("'")[0].split("@")[0])


def leaves(function, callee_owner, callee):
    return not callee_owner.endswith(SHIM) and not is_forward(function, callee)


def cost(path):
    own, asked = collections.Counter(), collections.Counter()
    for owner, function, callee_owner, callee, instructions, _ in edges(path):
        if not owner.endswith(SHIM):
            continue
        if callee is None:
            own[function] += instructions
        elif leaves(function, callee_owner, callee):
            asked[callee] += instructions
    return own, asked


def calls_out(path):
    return sum(calls for owner, function, callee_owner, callee, _, calls in edges(path)
               if callee and owner.endswith(SHIM) and leaves(function, callee_owner, callee))


def total(path):
    for line in open(path, encoding="utf-8", errors="replace"):
        if line.startswith(("summary:", "totals:")):
            return int(line.split()[1])
    return 0


if __name__ == "__main__":
    import sys
    for path in sys.argv[1:]:
        for title, counter in zip(("own", "asked"), cost(path)):
            print(title, sum(counter.values()))
            for name, instructions in counter.most_common(40):
                print(f"{instructions:9} {name}")
