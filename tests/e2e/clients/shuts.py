# SPDX-License-Identifier: Apache-2.0
"""shuts.py PORT: a blocking ssl socket; another thread shuts its connection down after the ClientHello."""
import socket
import ssl
import struct
import sys
import threading
import time

connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
other = connection.dup()
context = ssl._create_unverified_context()


def shut():
    # tcpi_bytes_acked of TCP_INFO counts the SYN
    while struct.unpack_from("=Q", other.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128), 120)[0] <= 1:
        time.sleep(0.01)
    other.shutdown(socket.SHUT_RDWR)


threading.Thread(target=shut).start()
context.wrap_socket(connection)
