"""The promise the whole suite rests on: no test, and nothing a test starts, reaches the network."""

from __future__ import annotations

import multiprocessing
import socket
import subprocess
import sys
import threading

import pytest

OUTSIDE = "192.0.2.1"  # an address reserved for documentation: nobody answers there


def _name_of_the_error() -> str:
    try:
        socket.create_connection((OUTSIDE, 80), timeout=0.1).close()
    except Exception as error:  # whatever it is, its name is what the test looks at
        return type(error).__name__
    return "no error"


def test_a_connection_to_another_machine_is_an_error() -> None:
    assert _name_of_the_error() == "NetworkBlockedError"


def test_a_name_is_not_even_looked_up() -> None:
    with pytest.raises(RuntimeError, match=r"'example\.org'"):
        socket.getaddrinfo("example.org", 443)


def test_a_datagram_to_another_machine_is_an_error() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        pytest.raises(RuntimeError, match="loopback"),
    ):
        sender.sendto(b"hello", (OUTSIDE, 9))


def test_a_child_process_is_held_back_too() -> None:
    script = f"import socket; socket.create_connection(({OUTSIDE!r}, 80), timeout=0.1)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.returncode == 1
    assert "NetworkBlockedError" in answer.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_are_held_back_too(method: str) -> None:
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_name_of_the_error) == "NetworkBlockedError"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_of_the_test_itself_is_reached(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answers = threading.Thread(target=lambda: server.accept()[0].close())
        answers.start()
        with socket.create_connection((host, port), timeout=5) as connection:
            assert connection.recv(1) == b""
        answers.join()


def test_libraries_of_the_hub_know_that_they_are_offline() -> None:
    script = (
        "import huggingface_hub.constants as h, os; "
        "print(h.HF_HUB_OFFLINE, h.HF_HOME == os.environ['HF_HOME'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["True", "True"]
