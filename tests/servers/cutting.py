"""A proxy on loopback that passes bytes on until a rule says to cut the line, and a server that speaks a script."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Rule = Callable[[bytes, bytes], bool]
"""(all the client sent, all the server sent so far, the newest not passed on yet) -> cut now."""


@contextmanager
def cutting(port: int, rule: Rule, pass_last: bool = False) -> Iterator[int]:
    """The port of a proxy to `port`. `pass_last`: what the client sent last still reaches the server, the answer does not come back."""
    ours = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = ours.accept()
            except OSError:
                return
            threading.Thread(target=_pass, args=(client, port, rule, pass_last), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield ours.getsockname()[1]
    finally:
        ours.close()


def _pass(client: socket.socket, port: int, rule: Rule, pass_last: bool) -> None:
    server = socket.create_connection(("127.0.0.1", port), 5)
    said, answered, cut = bytearray(), bytearray(), threading.Event()

    def end() -> None:
        for one in (client, server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def upward() -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                said.extend(data)
                if rule(bytes(said), bytes(answered)):
                    cut.set()
                    if pass_last:
                        server.sendall(data)
                        server.settimeout(5)
                        server.recv(65536)  # the server has answered: it took what was sent
                    break
                server.sendall(data)
        end()

    threading.Thread(target=upward, daemon=True).start()
    with contextlib.suppress(OSError):
        while data := server.recv(65536):
            if cut.is_set():
                return
            answered.extend(data)
            if rule(bytes(said), bytes(answered)):
                break
            client.sendall(data)
    if not cut.is_set():
        end()


@contextmanager
def scripted(greeting: bytes, answers: Callable[[bytes], bytes]) -> Iterator[tuple[int, bytearray]]:
    """(port, what clients said) of a server that greets and answers each line; an empty answer ends the line."""
    ours, said = socket.create_server(("127.0.0.1", 0)), bytearray()

    def talk(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client.sendall(greeting)
            for line in client.makefile("rb"):
                said.extend(line)
                answer = answers(line)
                if not answer:
                    break
                client.sendall(answer)
        client.close()

    def serve() -> None:
        while True:
            try:
                client, _ = ours.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield ours.getsockname()[1], said
    finally:
        ours.close()
