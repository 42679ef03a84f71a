"""Socket objects (`objects`), and the calls that the stdlib lacks (`ops`)."""
