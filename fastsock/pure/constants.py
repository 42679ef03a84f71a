"""Constants that the running interpreter's `socket` lacks, without C headers."""

from __future__ import annotations

from fastsock._common.constants import known_constants

CONSTANTS = known_constants()
