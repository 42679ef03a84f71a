"""The search for separators in what a stream has buffered: what was searched before is not searched again."""

from __future__ import annotations

import operator

from fastsock.pure.streams.state import StreamState


def begin_search(stream: StreamState, separators: list[bytes]) -> int:
    """Return where the last search for the same separators ended."""
    if stream._searched is not None and stream._searched[0] == separators:
        return stream._searched[1]
    return 0


def search(stream: StreamState, separators: list[bytes], offset: int) -> tuple[int, int] | None:
    """Return where the separator that ends first begins and ends, the shortest of several; None if none is there."""
    first = stream._start + offset
    found = [(at + len(each), at) for each in separators if (at := stream._input.find(each, first)) >= 0]
    if not found:
        return None
    end, start = min(found, key=operator.itemgetter(0))
    return start - stream._start, end - stream._start
