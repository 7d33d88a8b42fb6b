#!/usr/bin/env python3
"""Runs a program on a terminal of its own and types into it, as a person would.

    terminal.py PROGRAM [ARGUMENT]... -- STEP...

A step "?TEXT" waits (30 s at most) until the program shows TEXT; "^C" and "^D" press these; "!COMMAND" runs a
command of the shell meanwhile; anything else is typed, with Return. All that is shown goes to the
standard output. The exit status is the program's, or 99 when a text did not come.
"""
import os
import pty
import select
import subprocess
import sys
import termios
import time

at = sys.argv.index("--")
program, steps = sys.argv[1:at], sys.argv[at + 1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(program[0], program)
seen = b""


def listen(seconds):
    """What it shows within that time; False when it has ended."""
    global seen
    if not select.select([terminal], [], [], seconds)[0]:
        return True
    try:
        data = os.read(terminal, 4096)
    except OSError:
        data = b""
    os.write(1, data)
    seen += data
    return data != b""


def wait_for(text):
    global seen
    until = time.monotonic() + 30
    while text not in seen:
        if not listen(0.1) and text not in seen or time.monotonic() > until:
            return False
    seen = seen[seen.index(text) + len(text):]
    return True


def press(keys):
    try:
        os.write(terminal, keys)
    except OSError:
        pass  # it has ended


def has_echo():
    try:
        return termios.tcgetattr(terminal)[3] & termios.ECHO != 0
    except termios.error:
        return False  # it has ended


def settle():
    """A program that asks for what is not shown turns the echo off after its question, and may throw
    away what was typed before (vlock does): people are slower than that."""
    until = time.monotonic() + 0.3
    while has_echo() and time.monotonic() < until:
        listen(0.02)
    listen(0.05)


missing = None
for step in steps:
    if step.startswith("?"):
        if not wait_for(step[1:].encode()):
            missing = step[1:]
            break
    elif step in ("^C", "^D"):
        press(bytes([ord(step[1]) - 64]))
    elif step.startswith("!"):
        subprocess.run(step[1:], shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    else:
        settle()
        press(step.encode() + b"\n")
if missing is not None:
    print(f"\n[{missing!r} did not come]", flush=True)
    os.kill(pid, 9)
until = time.monotonic() + 30
while listen(0.1) and time.monotonic() < until:
    pass
if time.monotonic() >= until:
    os.kill(pid, 9)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(99 if missing is not None else status & 255)
