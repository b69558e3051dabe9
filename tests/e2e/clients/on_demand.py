# SPDX-License-Identifier: Apache-2.0
"""on_demand.py: reads a port per line, makes a handshake with 127.0.0.1, and prints the version. With &
before the port, the handshake runs in the background, and nothing is printed."""
import socket
import ssl
import sys
import threading

context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE


def shake_hands(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        with context.wrap_socket(connection) as tls:
            return tls.version()


for line in sys.stdin:
    if line.startswith("&"):
        threading.Thread(target=shake_hands, args=(int(line[1:]),), daemon=True).start()
    else:
        print(shake_hands(int(line)), flush=True)
