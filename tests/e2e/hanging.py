# SPDX-License-Identifier: Apache-2.0
"""hanging.py now|later DIRECTORY COMMAND [ARG...]: runs COMMAND while a FUSE file system that answers
nothing is mounted on DIRECTORY: from its start, or after its first line of output, and then it is sent a line.
To be run in a mount namespace of its own. Exit status 99: the command hangs."""
import ctypes
import os
import subprocess
import sys

TIMEOUT, HANGS, CANNOT = 30, 99, 98


def mount(directory):
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"hanging", directory.encode(), b"fuse", 0, options.encode()):
        sys.exit(CANNOT)
    return device


def main(when, directory, *command):
    device = mount(directory) if when == "now" else None
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if when == "later":
            sys.stdout.write(process.stdout.readline())
            device = mount(directory)
        try:
            sys.stdout.write(process.communicate("go on\n", timeout=TIMEOUT)[0])
        except subprocess.TimeoutExpired:
            os.close(device)  # who waits for an answer gets an error instead
            process.kill()
            process.communicate()
            return HANGS
        os.close(device)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
