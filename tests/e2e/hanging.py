# SPDX-License-Identifier: Apache-2.0
"""hanging.py now|later DIRECTORY COMMAND [ARG...]: runs COMMAND while a FUSE file system that never
answers is mounted on DIRECTORY: from the start, or after the command's first line of output; then a
line is sent to it. Must run in its own mount namespace. Exit status 99: the command hangs."""
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
            os.close(device)  # processes waiting for an answer now get an error
            process.kill()
            process.communicate()
            return HANGS
        os.close(device)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
