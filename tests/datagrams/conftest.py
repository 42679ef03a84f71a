"""Fixtures of the datagrams' tests."""

import pytest


@pytest.fixture
def lack(fastsock):
    """lack(udp_segment=True, mmsg=True): until the end of the test, act as on a kernel without them."""
    refusals = fastsock._common.segments.refusals
    yield refusals.pretend_kernel_lacks
    refusals.pretend_kernel_lacks()
