CONSTANTS: dict[str, int]
