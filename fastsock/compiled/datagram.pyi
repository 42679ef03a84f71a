# Twins have the same signatures (tests/test_twins.py).
from fastsock.pure.datagram import DatagramOps as DatagramOps
