#!/usr/bin/env python3
"""A contactless card that is no DESFire: answers 6D00 (instruction not known) to every command.
For the virtual reader on 127.0.0.1, port of the first argument."""

import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as reader:
    stream = reader.makefile("rb")
    while head := stream.read(2):
        body = stream.read(int.from_bytes(head, "big"))
        if len(body) > 1:
            answer = bytes.fromhex("6D00")
        elif body == b"\x04":
            answer = bytes.fromhex("3B8180018080")
        else:
            continue
        reader.sendall(len(answer).to_bytes(2, "big") + answer)
