# SPDX-License-Identifier: Apache-2.0
"""in_epoll.py PORT: one thread makes a handshake, while the main thread waits in epoll_wait() for
standard input and prints the result. Called without Python's own retry after EINTR."""
import ctypes
import errno
import select
import socket
import ssl
import sys
import threading

context = ssl._create_unverified_context()
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
threading.Thread(target=context.wrap_socket, args=(connection,), daemon=True).start()
epoll = select.epoll()
epoll.register(0, select.EPOLLIN)
libc = ctypes.CDLL(None, use_errno=True)
result = libc.epoll_wait(epoll.fileno(), ctypes.create_string_buffer(64), 1, -1)
print(result if result >= 0 else f"-1 {errno.errorcode[ctypes.get_errno()]}", flush=True)
sys.stdin.readline()
