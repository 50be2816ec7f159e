# SPDX-License-Identifier: Apache-2.0
# Connections that last, for reload.bats.
#
#   streams.py server PORT COUNTS      TCP and UDP echo for whoever comes; COUNTS has a line for
#                                      each datagram: the address that it was sent to, and its text
#   streams.py client DIR TARGET...    a thread for each KIND:ADDRESS:PORT, which tells a line about
#                                      itself when it is up, and one when it ends
#
# Kinds of client: busy sends a line after the other and compares the answers; idle waits until the
# file DIR/go is there, and sends once more; udp sends datagrams and counts what is refused. All
# end when the file DIR/stop is there.
import errno
import os
import socket
import sys
import threading
import time


def echo(connection):
    try:
        while data := connection.recv(4096):
            connection.sendall(data)
    except OSError:
        pass
    connection.close()


def serve_datagrams(port, counts):
    family, kind, level = socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_IPV6
    s = socket.socket(family, kind)
    s.setsockopt(level, socket.IPV6_V6ONLY, 0)
    s.setsockopt(level, socket.IPV6_RECVPKTINFO, 1)
    # What comes while others have the processor waits. (SO_RCVBUFFORCE)
    s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
    s.bind(("::", port))
    log = open(counts, "a", buffering=1)
    while True:
        data, control, _, who = s.recvmsg(2000, 200)
        to = next((c[2][:16] for c in control if c[1] == socket.IPV6_PKTINFO), b"")
        name = socket.inet_ntop(family, to) if to else "?"
        log.write(name.removeprefix("::ffff:") + " " + data.decode() + "\n")


def server(port, counts):
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
    threading.Thread(target=serve_datagrams, args=(port, counts), daemon=True).start()
    print("ready", flush=True)
    while True:
        threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()


def exchange(s, n):
    line = b"line %d\n" % n
    s.sendall(line)
    got = b""
    while len(got) < len(line):
        data = s.recv(4096)
        if not data:
            raise OSError(errno.ECONNRESET, "it has ended")
        got += data
    if got != line:
        raise ValueError("another answer")


def hold(where, kind, target):
    address, port = target.rsplit(":", 1)
    s = socket.create_connection((address, int(port)), timeout=120)
    exchange(s, 0)
    say(kind, target, "up")
    n = 1
    while not os.path.exists(where + "/stop"):
        if kind == "busy":
            exchange(s, n)
            n += 1
        elif os.path.exists(where + "/go"):
            exchange(s, n)
            return "answered"
        else:
            s.settimeout(0.1)
            try:
                s.recv(1)
                raise ValueError("an answer to nothing")
            except TimeoutError:
                s.settimeout(120)
        time.sleep(0.002)
    return "whole"


def datagrams(where, target):
    address, port = target.rsplit(":", 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sent, refused = 0, 0
    say("udp", target, "up")
    while not os.path.exists(where + "/stop"):
        try:
            s.sendto(b"%d" % sent, (address, int(port)))
            sent += 1
        except PermissionError:
            refused += 1
        time.sleep(0.002)
    return "sent %d refused %d" % (sent, refused)


def say(*words):
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def run(where, kind, target):
    try:
        end = datagrams(where, target) if kind == "udp" else hold(where, kind, target)
    except OSError as e:
        end = errno.errorcode.get(e.errno, str(e))
    except ValueError as e:
        end = str(e)
    say(kind, target, end)


if sys.argv[1] == "server":
    server(int(sys.argv[2]), sys.argv[3])
for wanted in sys.argv[3:]:
    threading.Thread(target=run, args=(sys.argv[2], *wanted.split(":", 1))).start()
