"""The class of this backend's sockets, which the other mixins ask for."""

from cpython.object cimport PyObject

from fastsock.compiled.syscalls cimport base

# Set once, by bind_socket_class, and kept for good: so no reference to it is counted.
cdef PyObject *bound_class


cdef inline bint is_bound_class(base.socket sock) noexcept:
    """Return whether it is a socket of the very class, not of a subclass."""
    return type(sock) is <object>bound_class


cdef inline bint overrides(base.socket sock, str name) except -1:
    """Return whether a subclass has put a method of its own there: ssl does, and must be asked for its bytes."""
    return not is_bound_class(sock) and getattr(type(sock), name) is not getattr(<object>bound_class, name)
