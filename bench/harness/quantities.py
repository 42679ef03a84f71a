"""The quantities on which the cases in Python and their limits in C must agree."""

from __future__ import annotations

TRIES = 8  # of a sample, if another process got the CPU meanwhile
SEND_BUFFER = 1024 * 1024  # bytes asked for; Linux grants what net.core.wmem_max allows
RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes asked for of a receiver of datagrams; Linux grants net.core.rmem_max
DATAGRAMS = 32  # in one operation of the cases of batches and segments
DATAGRAM_COST = 4 * 1024  # bytes of the receive buffer that a datagram takes, at most
MOST_ROUNDS = 16  # operations between two times of emptying the receive buffer

# Macros of `limit.c`.
SHARED = {
    "TRIES": TRIES,
    "SEND_BUFFER": SEND_BUFFER,
    "RECEIVE_BUFFER": RECEIVE_BUFFER,
    "DATAGRAMS": DATAGRAMS,
    "DATAGRAM_COST": DATAGRAM_COST,
    "MOST_ROUNDS": MOST_ROUNDS,
}
