#!/usr/bin/env python3
"""The way to a server, on which the server is sent a signal in the middle of an answer.

    watched_way.py FROM TO PORT BYTES SIGNAL PID    listens at FROM:PORT, passes on to TO:PORT; when the server
                                                    has sent so many bytes, its process gets the signal
"""
import os
import select
import socket
import sys

here, there, port, most, signal, pid = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
listener = socket.create_server((here, port))
print("listening", flush=True)
client, _ = listener.accept()
server = socket.create_connection((there, port))
sent = 0
while True:
    for ready in select.select([client, server], [], [])[0]:
        data = ready.recv(4096)
        if not data:
            sys.exit(0)
        (server if ready is client else client).sendall(data)
        if ready is server:
            sent += len(data)
            if sent >= most and sent - len(data) < most:
                os.kill(pid, signal)
