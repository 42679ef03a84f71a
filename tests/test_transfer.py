"""Bytes go out and come in."""


def test_send_and_recv(socket):
    a, b = socket.socketpair()
    with a, b:
        assert a.send(b"hello") == 5
        assert b.recv(100) == b"hello"
