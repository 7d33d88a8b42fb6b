#!/usr/bin/env python3
"""A C2SP tlog-proof, checked with hashes computed here and a signature checked by openssl.

    check_proof.py PROOF KEY.pem     prints the entry, or fails

What docs/ceremonies.md tells a stranger to do: nothing of ours is used.
"""
import base64
import hashlib
import os
import subprocess
import sys
import tempfile


def digest(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root_from(index, size, leaf, path):
    """RFC 9162, 2.1.3.2."""
    node, last, at = leaf, size - 1, index
    for sibling in path:
        if last == 0:
            sys.exit("the proof is too long")
        if at & 1 or at == last:
            node = digest(b"\x01", sibling, node)
            while at and not at & 1:
                at >>= 1
                last >>= 1
        else:
            node = digest(b"\x01", node, sibling)
        at >>= 1
        last >>= 1
    if last != 0:
        sys.exit("the proof is too short")
    return node


def main():
    text = open(sys.argv[1], encoding="utf-8").read()
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        sys.exit("this is no proof")
    entry = base64.b64decode(lines[1].removeprefix("extra "))
    index = int(lines[2].removeprefix("index "))
    path = [base64.b64decode(line) for line in lines[3:]]
    body, _, signatures = note.partition("\n\n")
    _, size, root = body.split("\n")[:3]
    signature = base64.b64decode(signatures.split()[2])[4:]  # after the key's id
    with tempfile.TemporaryDirectory() as work:
        signed, sig = os.path.join(work, "note"), os.path.join(work, "sig")
        open(signed, "w", encoding="utf-8").write(body + "\n")
        open(sig, "wb").write(signature)
        subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", sys.argv[2], "-rawin",
                        "-in", signed, "-sigfile", sig], check=True, stdout=subprocess.DEVNULL)
    if root_from(index, int(size), digest(b"\x00", entry), path) != base64.b64decode(root):
        sys.exit("the proof does not lead to the checkpoint")
    print(entry.decode())


main()
