"""The modules that both backends use: errors, waiting, parameters of streams, create_connection, sendfile."""
