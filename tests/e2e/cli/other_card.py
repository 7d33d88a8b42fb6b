"""A card that is no DESFire: it answers 6D00 to everything. Speaks vpcd's protocol to a port."""
import socket
import struct
import sys

ATR = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")


def read(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            sys.exit(0)
        data += part
    return data


def main():
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    while True:
        body = read(s, struct.unpack(">H", read(s, 2))[0])
        if body == b"\x04":
            answer = ATR
        elif len(body) == 1:
            continue
        else:
            answer = b"\x6d\x00"
        s.sendall(struct.pack(">H", len(answer)) + answer)


main()
