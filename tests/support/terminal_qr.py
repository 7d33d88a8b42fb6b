#!/usr/bin/env python3
"""Runs a command on a terminal of its own, pressing Enter; writes each QR code that it draws there, of half blocks, as a PGM.

terminal_qr.py OUT COMMAND...    OUT-1.pgm, OUT-2.pgm, …; all that the terminal showed is OUT.text
"""
import os
import pty
import re
import sys

HALVES = {" ": (255, 255), "▀": (0, 255), "▄": (255, 0), "█": (0, 0)}
SCALE = 6


def run(command):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    shown = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if re.search(rb"Enter [^\n]*$", shown) and not shown.endswith(b"\n"):
            shown += b"\n"
            os.write(fd, b"\n")
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def picture(rows):
    pixels = []
    for row in rows:
        for half in (0, 1):
            line = bytes(value for cell in row for value in [HALVES[cell][half]] * SCALE)
            pixels += [line] * SCALE
    return b"P5 %d %d 255\n" % (len(pixels[0]), len(pixels)) + b"".join(pixels)


out, command = sys.argv[1], sys.argv[2:]
text, status = run(command)
with open(out + ".text", "w", encoding="utf-8") as f:
    f.write(text)
codes, rows = [], []
for line in text.splitlines() + [""]:
    match = re.fullmatch(r"\x1b\[30;107m([ ▀▄█]+)\x1b\[0m", line)
    if match:
        rows.append(match[1])
    elif rows:
        codes.append(rows)
        rows = []
for number, rows in enumerate(codes, 1):
    with open(f"{out}-{number}.pgm", "wb") as f:
        f.write(picture(rows))
sys.exit(status)
