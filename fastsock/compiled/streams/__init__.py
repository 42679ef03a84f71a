"""class SocketStream (`stream`), its buffers (`buffer`), and how frames are marked (`framing`)."""
