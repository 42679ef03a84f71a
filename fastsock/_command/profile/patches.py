"""Puts the wrappers into the places of the calls: sockets, names, selectors, TLS, asyncio."""

from __future__ import annotations

import functools
import selectors
import socket as stdlib
import sys
from collections.abc import Callable
from typing import Any

import fastsock
from fastsock._command.profile.calls import (
    CONNECTIONS,
    ENDS,
    RECEIVES,
    SENDS,
    Receive,
    Send,
    given_first,
    sent_result,
    size_of_read,
)
from fastsock._command.profile.event_loops import wrap_datagram_transports, wrap_stream_transports
from fastsock._command.profile.recorder import Recorder
from fastsock._common.imports import AfterImport
from fastsock._socket_class import socket


def wrap_all(recorder: Recorder) -> None:
    """Record the calls of every fastsock socket of this process from now on."""
    wrap_sockets(recorder)
    wrap_names(recorder)
    wrap_selectors(recorder)
    after_import("ssl", lambda: wrap_tls(recorder))
    # asyncio itself is awaited by install(), which imports the second one.
    after_import("asyncio.selector_events", lambda: wrap_stream_transports(recorder))
    after_import("fastsock.asyncio.datagrams", lambda: wrap_datagram_transports(recorder))


def after_import(name: str, wrap: Callable[[], None]) -> None:
    if name in sys.modules:
        wrap()
    else:
        AfterImport(name, wrap).arm()


def wrap_sockets(recorder: Recorder) -> None:
    for name, receive in RECEIVES.items():
        if hasattr(socket, name):
            setattr(socket, name, recorder.receiving(name, getattr(socket, name), receive))
    for name, send in SENDS.items():
        if hasattr(socket, name):
            setattr(socket, name, recorder.sending(name, getattr(socket, name), send))
    for name in CONNECTIONS:
        setattr(socket, name, recorder.timing(name, getattr(socket, name), recorder.note_connection))
    for name in ENDS:
        setattr(socket, name, recorder.ending(getattr(socket, name)))


def wrap_names(recorder: Recorder) -> None:
    """Name resolution: every library's, since all say `socket.getaddrinfo`."""
    wrapper = recorder.timing("getaddrinfo", stdlib.getaddrinfo)
    stdlib.getaddrinfo = fastsock.getaddrinfo = wrapper


def wrap_selectors(recorder: Recorder) -> None:
    classes = {cls for cls in vars(selectors).values() if isinstance(cls, type)}  # DefaultSelector is one of the others
    for cls in classes:
        select = vars(cls).get("select") if issubclass(cls, selectors.BaseSelector) else None
        if select is not None and not getattr(select, "__isabstractmethod__", False):
            setattr(cls, "select", recorder.timing("select", select, recorder.note_turn))  # noqa: B010


def wrap_tls(recorder: Recorder) -> None:
    """The calls of an SSLSocket that reach OpenSSL, which makes the system calls itself."""
    import ssl

    cls: Any = ssl.SSLSocket
    cls.read = recorder.receiving("SSLSocket.read", cls.read, Receive(size_of_read))
    cls.write = recorder.sending("SSLSocket.write", cls.write, Send(given_first, sent_result))
    cls.do_handshake = recorder.timing("SSLSocket.do_handshake", cls.do_handshake)
    plain = cls.send
    recording = recorder.sending("SSLSocket.send", plain, Send(given_first, sent_result))

    @functools.wraps(plain)
    def send(sock: Any, /, *args: Any, **kwargs: Any) -> Any:
        # Without a session it is the send() of the class below, which is recorded itself.
        return (recording if sock._sslobj is not None else plain)(sock, *args, **kwargs)

    cls.send = send
