"""Random calls with datagrams: both backends do the same."""

import array
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.arguments import Index, released
from tests.support.datagrams import RECEIVE_BUFFER, bound, is_empty
from tests.support.outcomes import agreed, outcome

DATA = ["b''", "b'data'", "bytearray(1400)", "memoryview(b'123456')[1:3]", "array.array('i', [1, 2])", "bytes(65_507)"]
WRONG_DATA = [
    "'text'",
    "None",
    "5",
    "memoryview(b'123456')[::2]",
    "released()",
    "bytes(65_508)",
    "()",
    "[b'data', peer]",
]
ADDRESSES = [
    "peer",
    "tuple(peer)",
    "None",
    "('localhost', peer[1])",
    "('127.0.0.1', Index(peer[1]))",
    "(b'127.0.0.1', 9)",
]
WRONG_ADDRESSES = ["5", "()", "['127.0.0.1', 9]", "('127.0.0.1',)", "('127.0.0.1', '9')", "('127.0.0.1', 2**16)"]
WRONG_ADDRESSES += ["('127.0.0.1', -1)", "(5, 9)", "('127.0.0.1', 0)", "('nul\\0', 9)", "('127.0.0.1', 2**70)"]

data_of = st.sampled_from(DATA * 3 + WRONG_DATA)
addresses = st.sampled_from(ADDRESSES * 3 + WRONG_ADDRESSES)
messages_of = st.lists(st.one_of(data_of, st.builds("({}, {})".format, data_of, addresses)), max_size=6)
segmented = st.builds(
    "send_segments({}, {}, {})".format,
    data_of,
    st.sampled_from(["1400", "65_507", "1023", "0", "True", "'1'"]),
    addresses,
)
calls = st.one_of(messages_of.map(lambda messages: f"sendmmsg([{', '.join(messages)}])"), segmented)


@given(call=calls)
@settings(max_examples=300, deadline=None, derandomize="CI" in os.environ, database=None)
def test_random_calls(implementations, call):
    """The same outcome on both backends, and the same datagrams received."""

    def body(module):
        received = []
        with bound(module) as a, bound(module) as b:
            b.setsockopt(module.SOL_SOCKET, module.SO_RCVBUF, RECEIVE_BUFFER)
            peer = b.getsockname()
            a.connect(peer)
            names = {"peer": peer, "Index": Index, "released": released, "array": array, "a": a}
            result = outcome(eval, f"a.{call}", names)
            while not is_empty(b):
                received += [(data, flags) for data, flags, _ in b.recvmmsg(64, 65_535)]
        return result, received

    agreed({name: module for name, module in implementations.items() if name != "stdlib"}, body)
