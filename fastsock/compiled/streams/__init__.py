"""class SocketStream (`stream`), what its methods are made of, its buffers (`buffer`), and how frames are marked."""
