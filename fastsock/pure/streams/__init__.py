"""class SocketStream (`stream`), and what its methods are made of, on its fields (`state`)."""
