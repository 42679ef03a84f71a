# The twins have the same names and signatures.
from fastsock.pure.ops import SocketOps as SocketOps, set_accepted_class as set_accepted_class
