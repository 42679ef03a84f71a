"""SocketStream: what it reads and writes, and that nothing is lost whatever interrupts it."""
