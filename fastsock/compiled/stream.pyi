# Twins have the same signatures (tests/test_twins.py).
from fastsock.pure.stream import SocketStream as SocketStream
from fastsock.pure.stream import StreamDeadline as StreamDeadline
