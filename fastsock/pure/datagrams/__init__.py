"""Datagrams in batches and in segments."""
