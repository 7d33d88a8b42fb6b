#!/usr/bin/env python3
"""Verifies tokens by published keys, as a relying party does: RFC 7515, 7517, 7518, 7638, with a
library that is not ours. Standard input: a JWK set on the first line, then a JWT on each.
"""
import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text):
    return int.from_bytes(decode(text), "big")


def check_id(jwk):
    names = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}[jwk["kty"]]
    text = json.dumps({n: jwk[n] for n in names}, separators=(",", ":"))
    assert decode(jwk["kid"]) == hashlib.sha256(text.encode()).digest(), "no thumbprint"


def verify(jwk, signature, message):
    if jwk["alg"] == "RS256":
        key = rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"])).public_key()
        assert key.key_size == 3072
        key.verify(signature, message, padding.PKCS1v15(), SHA256())
    else:
        key = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), ec.SECP256R1()).public_key()
        r, s = (int.from_bytes(signature[at:at + 32], "big") for at in (0, 32))
        key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))


keys = {k["kid"]: k for k in json.loads(sys.stdin.readline())["keys"]}
for k in keys.values():
    assert k["use"] == "sig"
    check_id(k)
count = 0
for line in sys.stdin:
    head, payload, signature = line.strip().split(".")
    header = json.loads(decode(head))
    assert header["alg"] == keys[header["kid"]]["alg"]
    verify(keys[header["kid"]], decode(signature), f"{head}.{payload}".encode())
    assert "iat" in json.loads(decode(payload))
    count += 1
assert count > 0, "no token"
