"""The audit events of batches and segments."""

from tests.support.datagrams import linux
from tests.support.interpreter import check_code

AUDIT = """
import sys, fastsock as socket
a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
b.bind(("127.0.0.1", 0))
b.settimeout(5)
address = b.getsockname()
seen = []
def hook(event, arguments):
    if event.startswith("socket."):
        seen.append((event, arguments[0] is a, arguments[1:] == (address,), arguments[1:] == (None,)))
sys.addaudithook(hook)
def events(call):
    del seen[:]
    call()
    return [event for event in seen]
ways = {
    "sendto": lambda: a.sendto(b"x", address),
    "sendmsg": lambda: a.sendmsg([b"x"], [], 0, address),
    "batch": lambda: a.sendmmsg([(b"x", address), (b"y", address)]),
    "one segment": lambda: a.send_segments(b"x", 4, address),
    "segments": lambda: a.send_segments(b"xy", 1, address),
}
for name, call in ways.items():
    print(name, *events(call), sep="|")
a.connect(address)
print("connected", *events(lambda: a.sendmmsg([b"x", (b"y", None)])), sep="|")
print("connected segments", *events(lambda: a.send_segments(b"xy", 1)), sep="|")
print("receiving", *events(lambda: (b.recvmmsg(3, 9), b.recvmmsg_into([bytearray(3)]), b.recv_segments(9))), sep="|")
a.close()
b.close()
"""


@linux
def test_audit_events(fastsock):
    """sendmmsg raises sendto's event for each message with an address, a call that is cut by the kernel sendmsg's."""
    lines = {}
    for line in check_code(AUDIT, fastsock.BACKEND).splitlines():
        name, _, events = line.partition("|")
        lines[name] = events
    assert lines["sendto"] and lines["sendmsg"]
    assert lines["batch"] == f"{lines['sendto']}|{lines['sendto']}"
    assert lines["one segment"] == lines["sendmsg"]
    assert lines["segments"] == lines["sendmsg"]
    assert lines["connected"] == ""
    assert lines["connected segments"] == "('socket.sendmsg', True, False, True)"
    assert lines["receiving"] == ""
