# SPDX-License-Identifier: Apache-2.0
"""sniff.py DEVICE FILE: which attempts of the bypass program are seen at the outside end.

A line for each, once: its number and why. On SIGTERM what has arrived is read to its end."""
import re
import select
import signal
import socket
import struct
import sys

SO_RCVBUFFORCE = 33
PACKET_OUTGOING = 4
MARK = re.compile(rb"bypass-(\d+)-", re.I)
GROUP4 = re.compile(rb"\xef\x4d(..)", re.S)
GROUP6 = re.compile(rb"\xff\x0e\0{10}\x77\x77(..)", re.S)
WITH_PORTS = (6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite


def of_port(packet, protocol, at):
    if protocol not in WITH_PORTS or len(packet) < at + 4:
        return None
    for port in struct.unpack_from("!HH", packet, at):
        if 20000 < port < 21000:
            return port - 20000
    return None


def number_of(frame):
    found = MARK.search(frame)
    if found:
        return int(found.group(1)), "mark"
    kind, packet = frame[12:14], frame[14:]
    number = None
    if kind == b"\x08\x00" and len(packet) >= 20:
        if packet[9] == 2:  # IGMP
            found = GROUP4.search(packet[20:])
            number = struct.unpack("!H", found.group(1))[0] if found else None
        elif not struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
            number = of_port(packet, packet[9], (packet[0] & 15) * 4)
    elif kind == b"\x86\xdd" and len(packet) >= 40:
        found = GROUP6.search(packet[40:])
        if found:
            number = struct.unpack("!H", found.group(1))[0]
        else:
            number = of_port(packet, packet[6], 40)
    return number, "address"


def main():
    device, path = sys.argv[1:]
    taken, wake = socket.socketpair()
    signal.signal(signal.SIGTERM, lambda *_: None)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    s.bind((device, 0))
    s.setblocking(False)
    seen, stopping = set(), False
    with open(path, "w", buffering=1) as out:
        print("ready", flush=True)
        while True:
            if not stopping:
                stopping = taken in select.select([s, taken], [], [])[0]
            try:
                frame, who = s.recvfrom(65535)
            except BlockingIOError:
                if stopping:
                    return
                continue
            if who[2] == PACKET_OUTGOING:
                continue
            number, why = number_of(frame)
            if number and number not in seen:
                seen.add(number)
                out.write("%d %s %s\n" % (number, why, frame[:80].hex()))


main()
