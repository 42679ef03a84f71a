"""Fixtures of the streams' tests."""

from __future__ import annotations

import contextlib

import pytest

from tests.support.pairs import stream_pair
from tests.support.streams import TIMEOUT, Plain, tls_pair

KINDS = ["socket", "tls", "object"]


@pytest.fixture(params=KINDS)
def make_pair(fastsock, request):
    """make_pair(**parameters) is a stream of each kind of socket, and the peer's socket."""
    with contextlib.ExitStack() as stack:

        def make_pair(timeout=TIMEOUT, **parameters):
            if request.param == "tls":
                contexts = request.getfixturevalue("contexts")
                sock, peer = stack.enter_context(tls_pair(fastsock, contexts, timeout))
            else:
                sock, peer = stack.enter_context(stream_pair(fastsock, timeout=timeout))
                sock = Plain(sock) if request.param == "object" else sock
            return fastsock.SocketStream(sock, **parameters), peer

        yield make_pair
