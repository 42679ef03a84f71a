# Twins have the same signatures (tests/test_twins.py).
from fastsock.pure.socketio import SocketIOOps as SocketIOOps
