# SPDX-License-Identifier: Apache-2.0
"""A corpus of hostile text, how it must be shown, and traces whose strings are all hostile."""
import re
import struct
import subprocess

import tracing
from tracing import TLSTALL

# Terminal control sequences, characters that change direction or are invisible, invalid UTF-8.
TERMINAL = {
    b"\x1b]0;title\x07\x1b[2Jc0": r"\x1b]0;title\a\x1b[2Jc0",
    b"\x1b]8;;http://e.example\x1b\\link\x1b]8;;\x1b\\": r"\x1b]8;;http://e.example\x1b\link\x1b]8;;\x1b" + "\\",
    b"\x1b]52;c;Y3VybCBlLnwgc2g=\x07clip": r"\x1b]52;c;Y3VybCBlLnwgc2g=\aclip",
    b"\x1bP+q544e\x1b\\dcs\x1b_apc\x1b^pm\x1bXsos": r"\x1bP+q544e\x1b\dcs\x1b_apc\x1b^pm\x1bXsos",
    b"\x1bc\x1b#8\x1b(0\x0ereset\x0f": r"\x1bc\x1b#8\x1b(0\x0ereset\x0f",
    b"\x1b[6n\x1b[c\x1b[21t\x05answers": r"\x1b[6n\x1b[c\x1b[21t\x05answers",
    b"del\x7f\x08bs": r"del\x7f\bbs",
    b"over\rwritten\x0b\x0c": r"over\rwritten\v\f",
    b"forged\n12:00:00 line": r"forged\n12:00:00 line",
    b"\xc2\x9b31mc1\xc2\x90": r"\u009b31mc1\u0090",
    b"\xc2\x9d0;osc\xc2\x9c\xc2\x85nel": r"\u009d0;osc\u009c\u0085nel",
    b"\x9b31mc1-of-8-bits": r"\x9b31mc1-of-8-bits",
    b"\xe2\x80\xaemoc.elpmaxe": r"\u202emoc.elpmaxe",
    b"\xe2\x81\xa6iso\xe2\x81\xa9\xd8\x9c\xe2\x80\x8f": r"\u2066iso\u2069\u061c\u200f",
    b"line\xe2\x80\xa8para\xe2\x80\xa9": r"line\u2028para\u2029",
    b"zero\xe2\x80\x8bwidth\xe2\x80\x8d\xef\xbb\xbf": r"zero\u200bwidth\u200d\ufeff",
    b"tag\xf3\xa0\x81\xa1": r"tag\U000e0061",
    b"overlong\xc0\x9b\xe0\x82\x9b": r"overlong\xc0\x9b\xe0\x82\x9b",
    b"overlong\xf0\x80\x82\x9b\xf8\x80\x80\x80\x9b": r"overlong\xf0\x80\x82\x9b\xf8\x80\x80\x80\x9b",
    b"beyond\xf4\x90\x80\x80\xff\xfe": r"beyond\xf4\x90\x80\x80\xff\xfe",
    b"surrogate\xed\xa0\x80": r"surrogate\xed\xa0\x80",
    b"non\xef\xbf\xbe\xef\xb7\x90": r"non\ufffe\ufdd0",
    b"half\xe2\x80": r"half\xe2\x80",
}
# Markup, scripts, formulas, SQL, format strings: shown unchanged.
PARSERS = [
    "</script><img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<!--<script>alert(1)", "\"' onmouseover='alert(1)",
    "javascript:alert(1)//", "]]>&lt;b&gt;&amp;&#60;", "{{7*7}}${7*7}`alert(1)`", "__proto__", "constructor",
    "=cmd|' /C calc'!A0", "@SUM(1+1)*cmd", "-2+3+cmd|' /C calc'!A0", "+1\",\"x\"", "a\"} 1 # HELP {b=\"", "%s%n%1$x%%", "\\",
    "');DROP TABLE handshakes;--", "café.example",
]
NAMES = {**TERMINAL, **{text.encode(): text for text in PARSERS}}
LONG = b"\x1b[7m" * 2500  # longer than any field

# all of C0 except newline, DEL, C1, separators, what changes direction or hides text, noncharacters
BAD = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
                 "\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e0fff]")


def check(text, what):
    bad = BAD.search(text)
    assert not bad, f"{what}: U+{ord(bad[0]):04X} in {text[max(0, bad.start() - 200):bad.end() + 50]!r}"


def said(*arguments, directory=None, **more):
    """Everything that a command prints, which must be clean."""
    env = tracing.environment(**({"TLSTALL_DIR": directory} if directory else {}), **more)
    result = subprocess.run([TLSTALL, *arguments], capture_output=True, env=env, stdin=subprocess.DEVNULL, timeout=60)
    text = (result.stdout + result.stderr).decode()  # must be UTF-8
    check(text, arguments)
    assert not re.search("^12:00:00 line", text, re.MULTILINE), text
    return text


# ---- traces ---------------------------------------------------------------------------------

# Offsets in include/tlstall/trace.h and handshake.h: (offset, size).
SECTIONS, LIBSSL, SLOTS_USED = 160, 480, 2368
HEADER = {"comm": (744, 16), "host": (760, 64), "program": (864, 256)}
VERSION = (LIBSSL + 24, 40)
# section: (offset and size of a field that is not 0 in used entries, strings)
ENTRIES = {0: (8, 1, [(8, 40)]), 1: (0, 4, [(4, 60)]), 2: (0, 4, [(4, 60)]), 3: (0, 4, [(40, 16)]), 4: (0, 4, [(56, 200)]),
           6: (0, 8, [(792, 72), (864, 16)])}


def put(trace, at, size, text):
    trace[at:at + size] = text[:size - 1].ljust(size, b"\0")


def spoil(trace, text):
    """A copy in which every string is that text: names of hosts, programs, functions, states, modules, ciphers, errors."""
    trace = bytearray(trace)
    for at, size in [*HEADER.values(), VERSION]:
        put(trace, at, size, text)
    for section, (used, width, strings) in ENTRIES.items():
        offset, count, entry_size = struct.unpack_from("<QII", trace, SECTIONS + 16 * section)
        for entry in range(offset, min(offset + count * entry_size, len(trace)), entry_size):
            if any(trace[entry + used:entry + used + width]):
                for at, size in strings:
                    put(trace, entry + at, size, text)
    return bytes(trace)
