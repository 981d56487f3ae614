"""Keep a process from connecting to any other machine, whatever its libraries would like to do.

    host, port --bound_socket--> a socket to serve from, before
    stay_here() --audit hook--> PermissionError where a socket would leave, for the process's life
"""

import ipaddress
import os
import socket
import sys

from system.files import BadInput

NAMES = {"localhost", "", None}
PROXIES = "http_proxy", "https_proxy", "all_proxy", "ftp_proxy"


def stay_here():
    """Refuse from now on every connection, datagram and name that is not of this machine."""
    for name in PROXIES:            # one that listens on this machine would carry it out
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    os.environ["no_proxy"] = "*"
    sys.addaudithook(refuse_others)


def refuse_others(event, arguments):
    """Raise `PermissionError` for a socket's event that names another machine; an audit hook."""
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
    elif event == "socket.getaddrinfo":
        address = arguments[:1]
    else:
        return
    # not a path of a Unix socket, which is this machine's, and not the kernel's own numbers
    if isinstance(address, tuple) and not isinstance(address[0], int) and not is_here(address[0]):
        raise PermissionError(f"nothing leaves this machine: {address[0]} was asked for")


def is_here(host):
    """Return whether a host's name or number is of this machine: loopback, or any of its own."""
    host = host.decode(errors="replace") if isinstance(host, bytes) else host
    if host in NAMES:
        return True
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified


def bound_socket(host, ports):
    """Return a socket at the first of some ports that is free, 0 being any; or raise `BadInput`."""
    for number in ports:
        try:
            family = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0][0]
            found = socket.socket(family)
            if os.name != "nt":         # there it would share a port that is taken
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((host, number))
            return found
        except OSError as error:
            fault = error.strerror or str(error)
    raise BadInput(f"nothing can be served at {host}, port {number} ({fault}): give another --port "
                   "or --host")
