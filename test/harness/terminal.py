"""Runs a command on a terminal of its own. Lines of JSON on standard input say what is typed
({"keys"}), how large the window becomes ({"resize"}) and which signals the command gets
({"signal"}); what it prints goes to standard output, and how it ended, with whether the terminal's
modes are what they were, as JSON to descriptor 3."""

import fcntl
import json
import os
import select
import struct
import sys
import termios

rows, columns, *argv = sys.argv[1:]
master, slave = os.openpty()


def resize(size):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))


resize((int(rows), int(columns)))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.closerange(3, 20)
    os.execvp(argv[0], argv)

pending = b""
sources = [0, master]
while True:
    ready = select.select(sources, [], [], 0.02)[0]
    if master in ready:
        os.write(1, os.read(master, 65536))
    elif 0 in ready:
        chunk = os.read(0, 65536)
        if not chunk:
            sources.remove(0)
        pending += chunk
        *lines, pending = pending.split(b"\n")
        for order in map(json.loads, lines):
            if "keys" in order:
                os.write(master, order["keys"].encode())
            if "resize" in order:
                resize(order["resize"])
            if "signal" in order:
                os.kill(pid, order["signal"])
    elif not ready:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break

restored = termios.tcgetattr(slave) == before
code = os.waitstatus_to_exitcode(status)
os.write(3, json.dumps({"code": code, "restored": restored}).encode())
