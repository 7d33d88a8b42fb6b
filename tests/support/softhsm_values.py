#!/usr/bin/env python3
"""What SoftHSM2 keeps enciphered, for tests that search memory for it: prints the secret keys of
the tokens below a folder, in hexadecimal, one a line.

  softhsm_values.py TOKENS-FOLDER PIN-FILE

Formats of SoftHSM 2.6.1. A file (ObjectFile): a generation of 8 bytes, then attributes: type, kind
(1 boolean, 2 number, 3 bytes, 4 map, 5 mechanisms), value; all numbers big endian. Enciphered bytes
(SecureDataManager): an IV of 16 bytes, then AES-256-CBC. The token's key is enciphered by one that
the PIN gives (RFC4880): SHA-256 of salt and PIN, hashed 1500 + the salt's last byte times in all.
"""
import hashlib
import pathlib
import struct
import subprocess
import sys

VALUE, CLASS, USERPIN, SECRET_KEY = 0x11, 0, 0x8000534D, 4


def attributes(path):
    data, at, found = path.read_bytes(), 8, {}
    while at + 16 <= len(data):
        name, kind = struct.unpack_from(">QQ", data, at)
        at += 16
        if kind == 1:
            at += 1
            continue
        number = struct.unpack_from(">Q", data, at)[0]
        at += 8
        found[name] = number
        if kind >= 3:
            size = number * 8 if kind == 5 else number
            found[name] = data[at:at + size]
            at += size
    return found


def opened(key, box):
    run = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", key.hex(), "-iv", box[:16].hex()]
    return subprocess.run(run, input=box[16:], capture_output=True, check=True).stdout


def token_key(box, pin):
    salt = box[:8]
    key = hashlib.sha256(salt + pin).digest()
    for _ in range(1500 + salt[-1] - 1):
        key = hashlib.sha256(key).digest()
    plain = opened(key, box[8:])
    assert plain[:3] == b"RJR", "another PIN, or another version of SoftHSM"
    return plain[3:]


pin = pathlib.Path(sys.argv[2]).read_bytes().rstrip(b"\n")
for token in pathlib.Path(sys.argv[1]).glob("*/token.object"):
    key = token_key(attributes(token)[USERPIN], pin)
    for path in sorted(token.parent.glob("*.object")):
        a = attributes(path)
        if a.get(CLASS) == SECRET_KEY and VALUE in a:
            print(opened(key, a[VALUE]).hex().upper())
