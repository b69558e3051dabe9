# SPDX-License-Identifier: Apache-2.0
"""hung_files.py DIRECTORY PROGRAM [ARG...]: runs the program where a file system hangs.

DIRECTORY behaves like a network file system whose server is gone: every access waits forever. Only
the program sees the mount, which ends with it.
"""
import ctypes
import os
import pathlib
import sys

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """Why this is not possible here, or None."""
    if os.geteuid() != 0:
        return "mounts need root"
    return None if os.path.exists("/dev/fuse") else "the kernel has no FUSE"


class HungFiles:
    """within: the prefix that runs a command there."""

    def __init__(self, directory):
        self.within = [sys.executable, str(pathlib.Path(__file__)), str(directory)]


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(directory, *argv):
    checked(libc.unshare(CLONE_NEWNS))
    checked(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    # a server that never answers: the program inherits the descriptor, but never reads from it
    server = os.open("/dev/fuse", os.O_RDWR)
    os.set_inheritable(server, True)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    checked(libc.mount(b"hung", directory.encode(), b"fuse", 0, options))
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(*sys.argv[1:])
