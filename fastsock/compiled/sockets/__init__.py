"""The socket calls (`ops`), and the raw stream of `makefile()` (`socketio`)."""
