# Twins have the same signatures (tests/test_twins.py).
from fastsock.pure.ops import SocketOps as SocketOps
from fastsock.pure.ops import set_accepted_class as set_accepted_class
