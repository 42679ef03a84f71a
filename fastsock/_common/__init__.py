"""What both backends stand on: errors, parameters of streams, create_connection, sendfile."""
