#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dns_upstream.py ADDRESS LOG: a name server on port 53 that answers badly, each name in its own way.

The first label of the name says how. Each question goes to LOG: "udp|tcp NAME TYPE PORT ID EDNS-SIZE".
Prints "ready" when it listens.
"""
import selectors
import socket
import struct
import sys
import time

A, CNAME, SOA, TXT, AAAA = 1, 5, 6, 16, 28


def wire_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def record(owner, kind, data, ttl=300):
    return wire_name(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def a(owner, text, ttl=300):
    return record(owner, AAAA if ":" in text else A, address(text), ttl)


def alias(owner, target, ttl=300):
    return record(owner, CNAME, wire_name(target), ttl)


def message(number, question, answers=(), flags=0x8180, authority=(), additional=()):
    return (struct.pack(">6H", number, flags, 1, len(answers), len(authority), len(additional))
            + question + b"".join(answers) + b"".join(authority) + b"".join(additional))


def answers_for(name, kind, number, question, tcp):
    """The datagrams to send, in order."""
    how = name.split(".")[0]
    good = a(name, "2001:db8::7" if kind == AAAA else "192.0.2.7")
    other = question.replace(b"\x07example", b"\x07exbmple")
    if how == "wrongid":
        return [message(number ^ 0x5555, question, [a(name, "192.0.2.66")]), message(number, question, [good])]
    if how == "wrongname":
        return [message(number, other, [a(name, "192.0.2.66")]), message(number, question, [good])]
    if how == "noquestion":
        return [struct.pack(">6H", number, 0x8180, 0, 1, 0, 0) + a(name, "192.0.2.66"),
                message(number, question, [good])]
    if how == "garbage":
        return [b"", b"\0", struct.pack(">H", number) + b"\xff" * 50,
                message(number, question, [good])[:-2], message(number, question, [good])]
    if how == "loop":
        return [message(number, question, [alias(name, "b.example.org"), alias("b.example.org", name), good])]
    if how == "long":
        names = [name] + ["n%d.example.org" % i for i in range(9)]
        return [message(number, question, [alias(x, y) for x, y in zip(names, names[1:])]
                        + [a(names[-1], "192.0.2.66")])]
    if how == "many":
        return [message(number, question, [a(name, "192.0.2.%d" % i) for i in range(1, 18)])]
    if how == "rebind":
        return [message(number, question, [a(name, x) for x in (
            "127.0.0.1", "10.1.2.3", "169.254.169.254", "0.0.0.0", "224.0.0.1")])]
    if how == "mixed":
        return [message(number, question, [a(name, "10.1.2.3"), good])]
    if how == "rebind6":
        return [message(number, question, [a(name, x) for x in ("::1", "::", "fe80::1", "ff02::1")])]
    if how == "mapped":
        return [message(number, question, [a(name, "::ffff:10.1.2.3")])]
    if how == "extra":
        return [message(number, question, [good, a("victim.example.org", "192.0.2.66")],
                        authority=[a("victim.example.org", "192.0.2.67")],
                        additional=[a("victim.example.org", "192.0.2.68")])]
    if how == "viablocked":
        return [message(number, question, [alias(name, "cdn.blocked.example"),
                                           a("cdn.blocked.example", "192.0.2.66")])]
    if how == "big":
        return [message(number, question, [good])] if tcp else [message(number, question, flags=0x8380)]
    if how == "truncated":
        return [message(number, question, flags=0x8380)]
    if how == "servfail":
        return [message(number, question, flags=0x8182)]
    if how == "refused":
        return [message(number, question, flags=0x8185)]
    if how == "formerr":
        return [message(number, question, flags=0x8181)]
    if how == "silent":
        return []
    if how == "missing":
        soa = wire_name("ns.example.org") + wire_name("host.example.org") + struct.pack(">5I", 1, 2, 3, 4, 77)
        return [message(number, question, flags=0x8183, authority=[record("example.org", SOA, soa, 900)])]
    if how.startswith("ttl"):
        return [message(number, question, [a(name, "192.0.2.7", int(how[3:]))])]
    if how == "v4only" and kind == AAAA:
        return [message(number, question)]
    if how == "wide":  # more than 512 bytes
        target = "x" * 63 + ".example.org"
        return [message(number, question, [alias(name, target)]
                        + [a(target, "2001:db8::%d" % i) for i in range(1, 17)])]
    if how.startswith("n") and how[1:].isdigit():
        i = int(how[1:])
        return [message(number, question, [a(name, "198.51.%d.%d" % (i >> 8 & 255, i & 255))])]
    return [message(number, question, [good])]


def parse(data):
    number, _, _, _, _, arcount = struct.unpack(">6H", data[:12])
    at, labels = 12, []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
        at += data[at] + 1
    kind = struct.unpack(">H", data[at + 1:at + 3])[0]
    size = struct.unpack(">H", data[at + 8:at + 10])[0] if arcount else 0
    return number, ".".join(labels), kind, data[12:at + 5], size


def main():
    host, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    tcp = socket.socket(family, socket.SOCK_STREAM)
    udp.bind((host, 53))
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((host, 53))
    tcp.listen(16)
    selector = selectors.DefaultSelector()
    selector.register(udp, selectors.EVENT_READ)
    selector.register(tcp, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is udp:
                data, peer = udp.recvfrom(4096)
                number, name, kind, question, size = parse(data)
                log.write("udp %s %d %d %d %d\n" % (name, kind, peer[1], number, size))
                for answer in answers_for(name, kind, number, question, False):
                    udp.sendto(answer, peer)
            else:
                connection, peer = tcp.accept()
                connection.settimeout(5)
                try:
                    length = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))[0]
                    number, name, kind, question, size = parse(connection.recv(length, socket.MSG_WAITALL))
                    log.write("tcp %s %d %d %d %d\n" % (name, kind, peer[1], number, size))
                    for answer in answers_for(name, kind, number, question, True):
                        framed = struct.pack(">H", len(answer)) + answer
                        connection.sendall(framed[:1])
                        time.sleep(0.01)
                        connection.sendall(framed[1:])
                except (OSError, struct.error):
                    pass
                connection.close()


main()
