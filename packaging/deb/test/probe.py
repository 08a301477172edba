"""A client that connects again and again, one that holds its connection, and a listener for VRRP.

probe.py ADDRESS PORT FILE: until SIGTERM, then the counts go to FILE.
"""

import signal
import socket
import struct
import sys
import threading
import time

address, port, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
counts = {"ok": 0, "refused": 0, "reset": 0, "silent": 0}
held = {"answers": 0, "broken": 0}
heard = {"adverts": 0, "zero": 0, "gap": 0.0}
longest = 0.0
stop = threading.Event()


def ask(connection):
    connection.sendall(b"hello\n")
    if not connection.recv(64):
        raise ConnectionResetError


def connect():
    return socket.create_connection((address, port), timeout=2)


def hold():
    try:
        with connect() as connection:
            while not stop.is_set():
                ask(connection)
                held["answers"] += 1
                time.sleep(0.1)
    except OSError:
        held["broken"] += 1


def listen():
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
    group = socket.inet_aton("224.0.0.18") + struct.pack("=4si", bytes(4), socket.if_nametoindex("lan0"))
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    raw.settimeout(0.5)
    last = None
    while not stop.is_set():
        try:
            packet = raw.recv(256)
        except TimeoutError:
            continue
        now = time.monotonic()
        body = packet[(packet[0] & 15) * 4 :]
        heard["adverts"] += 1
        heard["zero"] += body[2] == 0
        if last is not None:
            heard["gap"] = max(heard["gap"], now - last)
        last = now


signal.signal(signal.SIGTERM, lambda *_: stop.set())
threads = [threading.Thread(target=hold), threading.Thread(target=listen)]
for thread in threads:
    thread.start()
last = time.monotonic()
while not stop.is_set():
    try:
        with connect() as connection:
            ask(connection)
        counts["ok"] += 1
        now = time.monotonic()
        longest = max(longest, now - last)
        last = now
    except ConnectionRefusedError:
        counts["refused"] += 1
    except ConnectionResetError:
        counts["reset"] += 1
    except OSError:
        counts["silent"] += 1
    time.sleep(0.01)
for thread in threads:
    thread.join()
with open(file, "w") as out:
    out.write(
        f"{counts['ok']} connections, {counts['refused']} refused, {counts['reset']} reset, "
        f"{counts['silent']} unanswered, longest pause {longest * 1000:.0f} ms; "
        f"held connection: {'broken' if held['broken'] else 'whole'}; "
        f"{heard['adverts']} adverts, {heard['zero']} of priority 0, longest gap {heard['gap']:.1f} s\n"
    )
