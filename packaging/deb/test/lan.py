"""The other side of the wire: servers that answer with what they got, one on each ADDRESS:PORT."""

import socket
import ssl
import sys
import threading


def serve(connection, context):
    try:
        if context:
            connection = context.wrap_socket(connection, server_side=True)
        while data := connection.recv(4096):
            connection.sendall(data)
    except OSError:
        pass
    finally:
        connection.close()


def listen(address, port, context):
    listener = socket.create_server((address, port), backlog=1024)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context), daemon=True).start()


context = None
arguments = sys.argv[1:]
if arguments[0] == "--tls":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments[1])
    arguments = arguments[2:]
threads = []
for one in arguments:
    address, port = one.rsplit(":", 1)
    threads.append(threading.Thread(target=listen, args=(address, int(port), context)))
for thread in threads:
    thread.start()
