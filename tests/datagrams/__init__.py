"""Datagrams in batches and in segments: sendmmsg, recvmmsg, send_segments, recv_segments and their variants."""
