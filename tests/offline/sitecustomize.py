"""No test reaches the network: a socket that leaves this machine is an error, wherever it opens.

conftest.py imports this file for the process of the tests and puts its folder on PYTHONPATH, so
that every Python they start, worker processes included, loads it by itself. An audit hook sees
each call of the socket module and cannot be taken off again:

    socket.create_connection(("127.0.0.1", 8000))     # allowed: a server of the test itself
    socket.create_connection(("example.org", 443))    # NetworkBlockedError: …
"""

from __future__ import annotations

import ipaddress
import sys


class NetworkBlockedError(RuntimeError):
    """Not an OSError on purpose: code that copes with a broken network must not cope with this."""


def is_local(host: object) -> bool:
    """Whether a host, as the socket module is given it, is this machine."""
    if host is None:
        return True
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    name = str(host).partition("%")[0]
    if name in ("", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refuse_strangers(event: str, args: tuple[object, ...]) -> None:
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        if not isinstance(address, tuple):  # a Unix socket's path, or an already connected socket
            return
        host = address[0]
    else:
        return
    if not is_local(host):
        raise NetworkBlockedError(f"{event} to {host!r}: tests use loopback servers only")


sys.addaudithook(_refuse_strangers)
