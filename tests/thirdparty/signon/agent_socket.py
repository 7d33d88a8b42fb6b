"""A program of the station on the agent's socket: each line of the standard input is a message, after
"PIN " the digits of one; each answer is a line of the standard output."""
import socket
import sys
import threading

s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])


def hear():
    while answer := s.recv(16384):
        print(answer.decode(), flush=True)
    print('{"answer":"gone"}', flush=True)


threading.Thread(target=hear, daemon=True).start()
for line in sys.stdin:
    line = line.rstrip("\n")
    s.send(b'{"do":"pin"}\n' + line[4:].encode() if line.startswith("PIN ") else line.encode())
