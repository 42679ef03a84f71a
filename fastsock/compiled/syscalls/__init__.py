"""The parts of a system call.

Its arguments (`arguments`, `address`, `vector`), the call itself (`call`, `posix`), waiting (`wait`, `clock`), the GIL
(`gil`), the memory that is received into (`receive`, `scratch`), memory that threads share (`shared`), the exception of
a call that was cut short (`progress`), and CPython's socket object as C sees it (`base`).
"""
