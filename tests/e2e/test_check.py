# SPDX-License-Identifier: Apache-2.0
"""`tlstall check`: what it reports about real programs, synthetic ones, files that are not programs, and
processes."""
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import time

import pytest

import peer
import tracing
from tracing import SHIM, TLSTALL, run

SEEN, NOT_SEEN, ERROR = 0, 1, 2
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="needs root")


def text(*arguments, **more):
    return run([TLSTALL, "check", *arguments], **more)


class Answer:
    def __init__(self, *arguments, **more):
        result = text("--format", "jsonl", *arguments, **more)
        assert result.stderr == "", result
        self.record = json.loads(result.stdout)
        self.seen = self.record["seen"]
        self.ways = [w["name"] for w in self.record["ways"]]
        self.reasons = [r["name"] for r in self.record["reasons"]]
        self.words = " | ".join(f["text"] for key in ("ways", "reasons", "notes")
                                for f in self.record[key])
        assert result.stdout.count("\n") == 1, result
        assert (self.record["type"], self.record["schema"]) == ("check", "tlstall/1")
        assert result.status == (SEEN if self.seen else NOT_SEEN), result
        assert self.ways if self.seen else self.reasons, self.record

    def __repr__(self):
        return json.dumps(self.record, indent=1)


@pytest.fixture
def directory(directory):
    directory.chmod(0o755)
    return directory


def compile_c(directory, source, *options, compiler="cc", name="program"):
    code, program = directory / f"{name}.c", directory / name
    code.write_text(source)
    subprocess.run([compiler, code, "-o", program, *options], check=True)
    return program


CALLS_LIBSSL = """
#include <openssl/ssl.h>
int main(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    return SSL_connect(ssl) == 1 && OpenSSL_version(OPENSSL_VERSION);
}
"""
LOOKS_UP = """
#include <dlfcn.h>
int main(void)
{
    void *libssl = dlopen("libssl.so.3", RTLD_NOW);
    int (*connect)(void *) = (int (*)(void *))dlsym(libssl, "SSL_connect");
    return connect == 0;
}
"""
NOTHING = "int main(void) { return 0; }"


# ---- real programs -----------------------------------------------------------

@pytest.mark.parametrize("program, way, word", [
    ("openssl", "direct", "SSL_connect"),
    ("nginx", "direct", "SSL_do_handshake"),
    ("redis-cli", "direct", "SSL_connect"),
    ("ab", "direct", "SSL_do_handshake"),
    ("php", "direct", "SSL_connect"),
    ("wrk", "direct", "SSL_connect"),
    ("stunnel4", "direct", "SSL_accept"),
    ("curl", "transitive", "libcurl.so.4"),
    ("python3", "plugin", "_ssl.cpython"),
    ("ruby", "plugin", "openssl.so"),
    ("perl", "plugin", "SSLeay.so"),
])
def test_seen(program, way, word):
    answer = Answer(program)
    assert answer.seen and answer.ways[0] == way, answer
    assert word in answer.words and "libssl.so.3" in answer.words, answer
    result = text(program)
    assert result.status == SEEN
    assert result.stdout.startswith(f"{program}: can be traced\n") and f"  {way}: " in result.stdout


def test_psql_through_libpq():
    answer = Answer(max(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql")))
    assert answer.seen and answer.ways == ["transitive"] and "libpq.so.5" in answer.words, answer


def test_php_deepbind():
    answer = Answer("php")
    assert not {"plugin", "deepbind"} & set(answer.ways) or "RTLD_DEEPBIND" in answer.words, answer
    if list(pathlib.Path("/usr/lib/php").glob("2*/curl.so")):
        assert "deepbind" in answer.ways and "curl.so" in answer.words, answer


@pytest.mark.parametrize("program, reason, words", [
    ("wget", "other-tls", "uses GnuTLS (libgnutls.so.30)"),
    ("git", "other-tls", "uses GnuTLS (libgnutls.so.30"),
    ("gron", "other-tls", "Go's crypto/tls"),
    ("/bin/true", "no-tls", "no TLS found"),
])
def test_not_seen(program, reason, words):
    answer = Answer(program)
    assert not answer.seen and answer.reasons == [reason] and answer.ways == [], answer
    assert words in answer.words
    result = text(program)
    assert result.status == NOT_SEEN
    assert result.stdout.startswith(f"{program}: cannot be traced\n") and f"  {reason}: " in result.stdout


def test_chromium_has_boringssl():
    answer = Answer("/usr/lib/chromium/chromium")
    assert answer.reasons == ["other-tls"] and "BoringSSL is linked into it" in answer.words, answer


def test_what_is_seen_is_what_is_recorded(start):
    """The answer compared with what is recorded when the same program is traced."""
    server = start(peer.Peer(peer.plain_text))
    for argv in (["curl", "-k", f"https://127.0.0.1:{server.port}/"],
                 ["wget", "-qO-", "--no-check-certificate", f"https://127.0.0.1:{server.port}/"]):
        trace = tracing.traced(argv).trace
        assert bool(trace.handshakes) == Answer(argv[0]).seen, argv


# ---- synthetic programs ------------------------------------------------------

def test_script(directory):
    script = directory / "script"
    for line in ("#!/usr/bin/env python3", "#!/usr/bin/python3 -u", "#! /usr/bin/env -S python3 -u"):
        script.write_text(line + "\nprint()\n")
        script.chmod(0o755)
        answer = Answer(script)
        assert answer.seen and answer.ways == ["plugin"], answer
        assert answer.record["program"] == str(pathlib.Path("/usr/bin/python3").resolve())
    assert Answer("script", env={"PATH": f"{directory}:/usr/bin"}).seen


def test_static_openssl(directory):
    program = compile_c(directory, CALLS_LIBSSL, "-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic")
    answer = Answer(program)
    version = run(["openssl", "version"]).stdout.split()[1]
    assert answer.seen and answer.ways == ["inside"] and f"OpenSSL {version}" in answer.words, answer
    subprocess.run(["strip", program], check=True)
    answer = Answer(program)
    assert answer.reasons == ["static-openssl"] and f"OpenSSL {version}" in answer.words, answer
    assert "stripped" in answer.words and "cannot be found" in answer.words, answer


def test_static_openssl_that_is_exported(directory):
    """Like the official Node.js: plugins find the program's own OpenSSL."""
    program = compile_c(directory, CALLS_LIBSSL, "-rdynamic", "-Wl,--whole-archive", "-l:libssl.a",
                        "-Wl,--no-whole-archive", "-l:libcrypto.a", "-ldl", "-lpthread")
    subprocess.run(["strip", program], check=True)
    assert Answer(program).ways == ["inside"]


def test_words_of_another_make(directory):
    """It exports OpenSSL and merely mentions another make, like the official Node.js."""
    program = compile_c(directory, CALLS_LIBSSL + 'const char *text = "openSSLIsBoringSSL";', "-rdynamic",
                        "-Wl,--whole-archive", "-l:libssl.a", "-Wl,--no-whole-archive", "-l:libcrypto.a")
    answer = Answer(program)
    assert answer.ways == ["inside"] and "BoringSSL" not in answer.words, answer


def test_static_executable(directory):
    program = compile_c(directory, CALLS_LIBSSL, "-static", "-lssl", "-lcrypto", "-w")
    answer = Answer(program)
    assert set(answer.reasons) == {"static-executable", "static-openssl"}, answer
    program = compile_c(directory, NOTHING, "-static-pie")
    assert set(Answer(program).reasons) == {"static-executable", "no-tls"}


def test_static_openssl_in_a_library(directory):
    library = compile_c(directory, CALLS_LIBSSL.replace("main", "fetch"), "-shared", "-fPIC", "-Wl,-Bsymbolic",
                        "-Wl,--exclude-libs,ALL", "-l:libssl.a", "-l:libcrypto.a", name="libfetch.so")
    program = compile_c(directory, "int fetch(void); int main(void) { return fetch(); }",
                        directory / "libfetch.so", "-Wl,-rpath,$ORIGIN")
    answer = Answer(program)
    assert answer.ways == ["inside"] and "libfetch.so" in answer.words, answer
    subprocess.run(["strip", library], check=True)
    answer = Answer(program)
    assert answer.reasons == ["static-openssl"] and "libfetch.so" in answer.words, answer


def test_dlsym(directory):
    answer = Answer(compile_c(directory, LOOKS_UP))
    assert answer.seen and answer.ways == ["dlsym"], answer
    assert answer.record["libssl"].endswith("libssl.so.3")


def test_dlsym_is_what_the_shim_would_be_asked_for(directory):
    """Without dlsym, the same string is just a string."""
    program = compile_c(directory, 'const char *text = "SSL_connect";' + NOTHING)
    assert Answer(program).reasons == ["no-tls"]


def test_library_path(directory):
    (directory / "lib").mkdir()
    compile_c(directory / "lib", "int SSL_connect(void *ssl) { return ssl == 0; }", "-shared", "-fPIC",
              "-Wl,-soname,libssl.so.3", name="libssl.so.3")
    program = compile_c(directory, CALLS_LIBSSL, "-lssl", "-lcrypto")
    ours = str(directory / "lib" / "libssl.so.3")
    assert Answer(program).record["libssl"] != ours
    assert Answer(program, env={"LD_LIBRARY_PATH": str(directory / "lib")}).record["libssl"] == ours


def test_missing_library(directory):
    compile_c(directory, "int gone(void) { return 0; }", "-shared", "-fPIC", name="libgone.so")
    program = compile_c(directory, "int gone(void); int main(void) { return gone(); }",
                        directory / "libgone.so", "-Wl,-rpath,$ORIGIN")
    assert "not found" not in Answer(program).words
    (directory / "libgone.so").unlink()
    assert "libgone.so, needed by program, was not found" in Answer(program).words


def test_musl(directory):
    program = compile_c(directory, NOTHING, compiler="musl-gcc")
    answer = Answer(program)
    assert answer.reasons == ["no-tls"] and "runs on musl (/lib/ld-musl" in answer.words, answer
    assert "not found" not in answer.words, answer


def patched(directory, at, bytes_, program="/usr/bin/openssl"):
    data = bytearray(pathlib.Path(program).read_bytes())
    data[at:at + len(bytes_)] = bytes_
    copy = directory / "patched"
    copy.write_bytes(data)
    copy.chmod(0o755)
    return copy


def test_other_machine(directory):
    program = patched(directory, 18, struct.pack("<H", 243))
    answer = Answer(program)
    assert answer.reasons[0] == "architecture" and "riscv" in answer.words, answer


def test_32_bits(directory):
    """A 32-bit ELF header; none of its libraries is here."""
    phdr = struct.pack("<8I", 3, 52 + 32, 0, 0, 19, 19, 4, 1)
    header = b"\x7fELF\1\1\1".ljust(16, b"\0") + struct.pack(
        "<2H5I6H", 2, 3, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    program = directory / "program"
    program.write_bytes(header + phdr + b"/lib/ld-linux.so.2\0" + bytes(64))
    program.chmod(0o755)
    answer = Answer(program)
    assert answer.reasons[0] == "architecture" and "32-bit i386" in answer.words, answer


def honors_setuid(path):
    return not os.statvfs(path).f_flag & os.ST_NOSUID


@as_root
@pytest.mark.parametrize("mode, owner, secure", [
    (0o4755, ("nobody", None), True), (0o2755, (None, "nogroup"), True),
    (0o4755, (None, None), False), (0o755, ("nobody", None), False)])
def test_setuid(directory, mode, owner, secure):
    program = directory / "curl"
    shutil.copy("/usr/bin/curl", program)
    if any(owner):
        shutil.chown(program, *owner)
    program.chmod(mode)
    answer = Answer(program)
    if secure and honors_setuid(program):
        assert answer.reasons == ["secure-execution"] and answer.ways == ["transitive"], answer
    else:
        assert answer.seen, answer


@as_root
def test_file_capabilities(directory):
    """They apply to everybody but root."""
    program = directory / "curl"
    shutil.copy("/usr/bin/curl", program)
    program.chmod(0o755)
    tool = tracing.copy_products(directory)
    try:
        os.setxattr(program, "security.capability", struct.pack("<5I", 0x2000001, 1 << 10, 0, 0, 0))
    except OSError as error:
        pytest.skip(f"no file capabilities here: {error}")
    answer = Answer(program)
    assert answer.seen and "file capabilities" in answer.words, answer
    result = run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", tool, "check",
                  program])
    assert result.status == NOT_SEEN and "secure-execution: has file capabilities" in result.stdout, \
        result


def test_each_name_is_explained():
    """Scripts rely on the names of ways and reasons: the manual page has all that are given."""
    header = (tracing.ROOT / "tools/check/check.h").read_text()
    names = re.findall(r'^\tX\(\w+, "([a-z-]+)"\)(?!.*not given any more)', header, re.M)
    page = (tracing.ROOT / "doc/tlstall-check.1").read_text().replace("\\-", "-")
    words = set(re.findall(r"^\.BR? (.+)$", page, re.M))
    explained = {name for line in words for name in line.replace(",", "").split()}
    assert len(names) > 15 and set(names) <= explained, sorted(set(names) - explained)


def test_no_shim(directory):
    tool = tracing.copy_products(directory)
    (directory / SHIM.name).unlink()
    answer = run([tool, "check", "/usr/bin/curl"])
    assert answer.status == NOT_SEEN and "shim-unreadable: libtlstall.so is neither" in answer.stdout, answer


@as_root
def test_unreadable_shim_and_program(directory):
    directory.chmod(0o700)
    tool = pathlib.Path(tempfile.mkdtemp(prefix="tlstall-"))
    try:
        tool.chmod(0o755)
        shim = shutil.copy(SHIM, directory)
        program = tool / "curl"
        shutil.copy("/usr/bin/curl", program)
        setpriv = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                   tracing.copy_products(tool), "check"]
        result = run([*setpriv, "--shim", shim, "curl"])
        assert result.status == NOT_SEEN and "shim-unreadable: " in result.stdout, result
        program.chmod(0o711)
        result = run([*setpriv, program])
        assert result.status == ERROR and f"no permission to read {program}" in result.stderr, result
    finally:
        shutil.rmtree(tool)


def test_environment_strippers(directory):
    (directory / "sbin").mkdir()
    program = compile_c(directory / "sbin", NOTHING, name="dovecot")
    answer = Answer(program)
    assert "environment-stripped" in answer.reasons and "import_environment" in answer.words, answer


# ---- no answer ---------------------------------------------------------------

def refused(*arguments, **more):
    result = text(*arguments, **more)
    assert result.status == ERROR and result.stdout == "", result
    assert result.stderr.startswith("tlstall: "), result
    return result.stderr


def test_bad_programs(directory):
    assert "nosuchprogram: not found in PATH" in refused("nosuchprogram")
    assert f"{directory}/nosuch: No such file" in refused(f"{directory}/nosuch")
    assert "is a directory" in refused(directory)
    assert "not a regular file" in refused("/dev/null")
    os.mkfifo(directory / "fifo")
    assert "not a regular file" in refused(directory / "fifo")
    (directory / "empty").touch()
    assert "is empty" in refused(directory / "empty")
    (directory / "text").write_text("hello\n")
    assert "not an ELF program" in refused(directory / "text")
    assert "shared library" in refused(Answer("curl").record["libssl"])
    assert "nor a #! script" in refused("/usr/lib/x86_64-linux-gnu/crt1.o") \
        if os.path.exists("/usr/lib/x86_64-linux-gnu/crt1.o") else True


def test_truncated(directory):
    """At any length: an answer or an error, never a crash, and an error if the header is cut."""
    whole = pathlib.Path("/usr/bin/openssl").read_bytes()
    program = directory / "program"
    for size in [4, 10, 63, 64, 100, 500, 1000, 4096, 20000, len(whole) // 2, len(whole) - 1]:
        program.write_bytes(whole[:size])
        program.chmod(0o755)
        result = text(program)
        assert result.status in (SEEN, NOT_SEEN, ERROR), (size, result)
        if size < 1000:
            assert result.status == ERROR and "truncated or damaged" in result.stderr, (size, result)


def test_wrong_usage():
    for arguments in ([], ["curl", "wget"], ["--format", "xml", "curl"], ["--format"], ["--nosuch"]):
        refused(*arguments)
    help_ = text("--help")
    assert help_.status == 0 and "--format" in help_.stdout and "PROGRAM|PID" in help_.stdout


def test_full_disk():
    with open("/dev/full", "w") as full:
        result = subprocess.run([TLSTALL, "check", "curl"], stdout=full, stderr=subprocess.PIPE,
                                text=True, env=tracing.environment())
    assert result.returncode == ERROR and "No space left" in result.stderr


# ---- duration ----------------------------------------------------------------

def test_is_quick():
    """The limit is far above the usual (5 to 70 ms), and far below what anybody would notice."""
    for program in ("curl", "/usr/lib/chromium/chromium"):
        best = min(timed(program) for _ in range(3))
        assert best < 0.5, (program, best)


def timed(program):
    start = time.monotonic()
    text(program)
    return time.monotonic() - start
