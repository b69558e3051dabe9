# SPDX-License-Identifier: Apache-2.0
"""mosquitto_loop.py PORT CA: an MQTT client that keeps calling mosquitto_loop(), whatever it returns."""
import ctypes
import sys

library = ctypes.CDLL("libmosquitto.so.1")
library.mosquitto_new.restype = ctypes.c_void_p
library.mosquitto_lib_init()
client = ctypes.c_void_p(library.mosquitto_new(b"test", True, None))
assert library.mosquitto_tls_set(client, sys.argv[2].encode(), None, None, None, None) == 0
library.mosquitto_connect_async(client, b"127.0.0.1", int(sys.argv[1]), 10)
while True:
    library.mosquitto_loop(client, 1000, 1)
