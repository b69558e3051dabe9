# SPDX-License-Identifier: Apache-2.0
"""asyncio_busy.py PORT compute|sleep: asyncio; another coroutine blocks the event loop for three seconds
during a handshake."""
import asyncio
import contextlib
import socket
import ssl
import struct
import sys
import time


def keep(seconds):
    if sys.argv[2] == "sleep":
        time.sleep(seconds)
    end = time.monotonic() + seconds
    while sys.argv[2] == "compute" and time.monotonic() < end:
        sum(range(1000))


def acknowledged(connection):
    """How many bytes: tcpi_bytes_acked of TCP_INFO, which counts the SYN."""
    return struct.unpack_from("=Q", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128), 120)[0]


async def busy(connection):
    while acknowledged(connection) <= 1:  # the ClientHello has not been sent
        await asyncio.sleep(0.01)
    keep(3)


async def connect(connection):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(sock=connection, server_hostname="127.0.0.1", ssl=context)
        writer.close()


async def main():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    await asyncio.gather(connect(connection), busy(connection))


asyncio.run(main())
