# SPDX-License-Identifier: Apache-2.0
"""nonblocking.py PORT HOW: a non-blocking ssl socket, used in a way that stalls.

busy, busier: after WANT_READ it does something else for 0.8 s or 2.6 s, then continues.
fatal: treats WANT_READ as a failure, like code written for blocking sockets.
late: begins the handshake long after connecting.
read: select()s on a blocking socket, then reads, assuming that application data has arrived.
"""
import select
import socket
import ssl
import sys
import time

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
how = sys.argv[2]
connection.setblocking(how in ("read", "late"))
tls = context.wrap_socket(connection, do_handshake_on_connect=False)


def handshake():
    while True:
        try:
            return tls.do_handshake()
        except ssl.SSLWantReadError:
            select.select([tls], [], [])
            time.sleep({"busy": 0.8, "busier": 2.6}.get(how, 0))


if how == "fatal":
    try:
        tls.do_handshake()
    except OSError as error:
        tls.close()
        del tls
        sys.exit(str(error))
if how == "late":
    time.sleep(2)
handshake()
if how == "read":
    while True:
        select.select([tls], [], [])
        tls.recv(100)
