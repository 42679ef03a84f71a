"""Socket objects (`objects`), what they send and receive (`ops`), the raw stream of `makefile()` (`socketio`)."""
