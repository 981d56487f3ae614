"""A process that stays here reaches nothing else, whoever asks and however."""

import subprocess
import sys

import pytest

from page.loopback import bound_socket, is_here, refuse_others
from system.files import BadInput

PROGRAM = """
import os, socket, urllib.request
from page.loopback import stay_here
os.environ["HTTP_PROXY"] = "http://127.0.0.1:9"
listening = socket.create_server(("127.0.0.1", 0))
stay_here()
socket.create_connection(listening.getsockname()).close()
left = socket.socketpair()
assert "HTTP_PROXY" not in os.environ
tries = (lambda: socket.create_connection(("192.0.2.1", 80), 1),
         lambda: socket.create_connection(("a.example", 80), 1),
         lambda: urllib.request.urlopen("http://a.example/", timeout=1),
         lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
         lambda: socket.getaddrinfo("a.example", 80))
for one in tries:
    try:
        one()
    except OSError as error:
        print("leaves this machine" in str(error))
"""


def test_connections_names_and_datagrams_are_refused_and_this_machine_is_not():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout.split() == ["True"] * 5, done.stderr


@pytest.mark.parametrize("host, here", [
    ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), (None, True),
    (b"localhost", True), ("0.0.0.0", True), ("192.0.2.1", False), ("10.0.0.1", False),
    ("fe80::1%eth0", False), ("a.example", False), (b"a.example", False),
    ("localhost.example", False)])
def test_what_is_of_this_machine(host, here):
    assert is_here(host) == here


def test_what_is_no_connection_is_let_through():
    refuse_others("open", ("/etc/hosts", "r", 0))
    refuse_others("socket.connect", (None, "/run/socket"))
    with pytest.raises(PermissionError, match="192.0.2.1"):
        refuse_others("socket.connect", (None, ("192.0.2.1", 80)))


def test_a_socket_takes_the_first_port_that_is_free():
    with bound_socket("127.0.0.1", (0,)) as first:
        first.listen()
        taken = first.getsockname()[1]
        with bound_socket("127.0.0.1", (taken, 0)) as second:
            assert second.getsockname()[1] not in (0, taken)
        with pytest.raises(BadInput, match=f"port {taken}.*another --port"):
            bound_socket("127.0.0.1", (taken,))
