"""How a system call is made.

Its arguments (`arguments`, `address`, `vector`), the call itself (`call`, `posix`), waiting and the GIL (`wait`), the
memory that is received into (`receive`, `scratch`), and CPython's socket object as C sees it (`base`).
"""
