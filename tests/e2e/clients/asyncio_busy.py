# SPDX-License-Identifier: Apache-2.0
"""asyncio_busy.py PORT compute|sleep: asyncio; another coroutine blocks the event loop for three seconds
during a handshake."""
import asyncio
import contextlib
import ssl
import sys
import time


def keep(seconds):
    if sys.argv[2] == "sleep":
        time.sleep(seconds)
    end = time.monotonic() + seconds
    while sys.argv[2] == "compute" and time.monotonic() < end:
        sum(range(1000))


async def busy():
    await asyncio.sleep(0.2)  # the ClientHello has been sent
    keep(3)


async def connect():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), ssl=context)
        writer.close()


async def main():
    await asyncio.gather(connect(), busy())


asyncio.run(main())
