"""class SocketStream."""
