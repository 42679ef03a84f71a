from typing import Final

CONSTANTS: Final[dict[str, int]]
