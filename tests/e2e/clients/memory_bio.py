# SPDX-License-Identifier: Apache-2.0
"""memory_bio.py PORT CA: asyncio, which drives TLS over memory BIOs."""
import asyncio
import ssl
import sys


async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), ssl=context,
                                                   server_hostname="localhost")
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    print((await reader.readexactly(12)).decode())
    writer.close()


try:
    asyncio.run(main())
except (OSError, ssl.SSLError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
