"""The guard of the tests: no network, and nothing in the person's own folders."""

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest

from sessiontrackd.config import Home
from tests import conftest

ELSEWHERE = "192.0.2.1"  # reserved for documentation: nobody answers


def test_the_network_is_refused() -> None:
    """Neither a connection, a datagram nor a look-up leaves the machine."""
    with contextlib.closing(socket.socket()) as stream, pytest.raises(BaseException, match="reached for the network"):
        stream.connect((ELSEWHERE, 80))
    with (
        contextlib.closing(socket.socket(type=socket.SOCK_DGRAM)) as datagram,
        pytest.raises(BaseException, match="reached for the network"),
    ):
        datagram.sendto(b"", (ELSEWHERE, 53))
    with pytest.raises(BaseException, match="looked up"):
        socket.getaddrinfo("example.org", 80)


def test_loopback_is_open() -> None:
    """A server of the test's own on loopback can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_the_default_home_is_a_fresh_one(person: Path) -> None:
    """The program's default folders lie below an empty HOME made for this test."""
    assert Path.home() == person
    assert Home.find().state_dir.is_relative_to(person)
    assert time.tzname[0] == "UTC"


def test_the_persons_own_folders_are_refused() -> None:
    """The folders of whoever runs the tests are never opened."""
    folder = next(iter(conftest.REAL_FOLDERS))

    with pytest.raises(BaseException, match="use the fixture `home`"):
        open(os.path.join(folder, "config.toml"))  # noqa: SIM115
