# SPDX-License-Identifier: Apache-2.0
"""OpenSSL and curl built with musl, like Alpine's: from Debian's sources, once, into $TLSTALL_MUSL."""
import fcntl
import functools
import glob
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import tracing

HOME = pathlib.Path(os.environ.get("TLSTALL_MUSL", "/var/tmp/tlstall-musl"))
ROOT = HOME / "root"
LONGEST = 600  # seconds per build step

# What takes most of the build time, and no test needs.
LEFT_OUT = ("tests engine afalgeng async legacy module comp ec2m aria bf blake2 camellia cast cms cmp ct gost idea md4 "
            "mdc2 ocb rc2 rc4 rmd160 scrypt seed siphash siv sm2 sm3 sm4 srp srtp ts whirlpool").split()
CURL = ("--with-openssl --disable-static --disable-manual --disable-ldap --without-zlib --without-zstd "
        "--without-brotli --without-libpsl --without-nghttp2 --without-libidn2 --without-librtmp --without-libssh2").split()
# Alpine's compiler does this by default, musl-gcc does not
LINKED = ["-Wl,--eh-frame-hdr", f"-Wl,-rpath,{ROOT}/lib"]


class CannotBe(Exception):
    pass


def step(argv, cwd, **more):
    """A step of the build; its output is shown if it fails."""
    result = subprocess.run(["nice", "-n", "15", *map(str, argv)], cwd=cwd, text=True, capture_output=True,
                            timeout=LONGEST, check=False, **more)
    if result.returncode:
        last = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise CannotBe(f"{argv[0]}: {' '.join(last)[:200]}")
    return result.stdout


def source(package, work):
    """Unpacks Debian's source of a package, from this system's package mirror."""
    listed = step(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI) $(RELEASE) $(COMPONENT)",
                   "Created-By: Packages"], work)
    lines = {"deb-src " + line.split(" ", 1)[1] for line in listed.splitlines() if line.startswith("Debian ")}
    for directory in "lists/partial", "cache/archives/partial":
        (work / "apt" / directory).mkdir(parents=True, exist_ok=True)
    (work / "apt/sources.list").write_text("".join(f"{line}\n" for line in sorted(lines)))
    options = [f"-oDir::Etc::SourceList={work}/apt/sources.list", "-oDir::Etc::SourceParts=/dev/null",
               f"-oDir::State::Lists={work}/apt/lists", f"-oDir::Cache={work}/apt/cache", "-oAPT::Sandbox::User=root"]
    step(["apt-get", *options, "update"], work)
    step(["apt-get", *options, "source", "--download-only", package], work)
    archive, = glob.glob(f"{work}/{package}_*.orig.tar.gz")
    (work / package).mkdir()
    step(["tar", "-xzf", archive, "-C", work / package, "--strip-components=1"], work)
    return work / package


def headers():
    """The kernel's headers, which musl's compiler does not search."""
    directory = HOME / "headers"
    directory.mkdir(exist_ok=True)
    for name, path in ("linux", "/usr/include/linux"), ("asm-generic", "/usr/include/asm-generic"), \
            ("asm", "/usr/include/x86_64-linux-gnu/asm"):
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(path)
    return ["-idirafter", str(directory)]


def build(work):
    openssl = source("openssl", work)
    step(["./Configure", "linux-x86_64", "CC=musl-gcc", "-O1", *(f"no-{name}" for name in LEFT_OUT), *headers(),
          f"--prefix={ROOT}", "--libdir=lib", *LINKED], openssl)
    step(["make", "-j2", "build_sw"], openssl)
    step(["make", "install_sw"], openssl)
    curl = source("curl", work)
    step(["./configure", "CC=musl-gcc", "CFLAGS=-O1", f"CPPFLAGS=-I{ROOT}/include {' '.join(headers())}",
          f"LDFLAGS=-L{ROOT}/lib {' '.join(LINKED)}", f"--prefix={ROOT}", *CURL], curl)
    for part in "lib", "src":
        step(["make", "-j2", "-C", part, "install"], curl)


def why_not():
    if os.uname().machine != "x86_64" or os.environ.get("TLSTALL_MATRIX"):
        return "musl is tested on the machine itself, x86-64"
    if missing := [name for name in ("musl-gcc", "apt-get", "make") if not shutil.which(name)]:
        return f"{missing[0]} is not here"
    return None


@functools.cache
def made():
    """None, or why there is none."""
    if reason := why_not():
        return reason
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (ROOT / "complete").exists():
            return None
        shutil.rmtree(ROOT, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=HOME) as work:
            try:
                build(pathlib.Path(work))
            except (CannotBe, OSError, ValueError, subprocess.TimeoutExpired) as error:
                return f"OpenSSL cannot be built with musl: {error}"
        (ROOT / "complete").touch()
    return None


def program(name):
    """One of those programs; if it cannot be built, ends the test and says what is missing."""
    if reason := made():
        pytest.skip(reason)
    return str(ROOT / "bin" / name)


def compiled(source_file, output, *options):
    """Compiles a C program with that OpenSSL."""
    if reason := made():
        pytest.skip(reason)
    subprocess.run(["musl-gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-w", f"-I{tracing.ROOT}/include",
                    f"-I{tracing.ROOT}/tests", f"-I{ROOT}/include", *headers(), "-o", output, source_file, *options,
                    f"-L{ROOT}/lib", *LINKED, "-lssl", "-lcrypto"], check=True)
    return output
