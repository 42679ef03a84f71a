"""sockaddr <-> Python address, one pair of functions a family: AF_INET, AF_INET6, AF_UNIX.

`pack` returns True for an address that it packed: a numeric host, a port in range, a path that fits. For names to
resolve, other families and wrong addresses it returns False: the method then calls the stdlib's own. `unpack` returns
the address as `_socket` does: ip(7), ipv6(7), unix(7).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_Clear
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_CheckExact
from libc.string cimport memcpy, memset, strlen

from fastsock.compiled.syscalls.arguments cimport as_int
from fastsock.compiled.syscalls.posix cimport (
    ABSTRACT_UNIX,
    AF_INET,
    AF_INET6,
    AF_UNIX,
    SUN_PATH_OFFSET,
    SUN_PATH_SIZE,
    htonl,
    htons,
    inet_ntop,
    inet_pton,
    ntohl,
    ntohs,
    set_sa_len,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    sockaddr_un,
    socklen_t,
)

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text) noexcept
    const char *PyUnicode_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    PyObject *PyUnicode_EncodeFSDefault(object text)  # NULL with an exception set, which pack_unix clears
    object PyUnicode_DecodeFSDefault(const char *text)

cdef enum:
    HOST_SIZE = 46  # INET6_ADDRSTRLEN


cdef union Address:
    sockaddr sa
    sockaddr_in in4
    sockaddr_in6 in6
    sockaddr_un un
    sockaddr_storage storage


cdef inline bint is_packed_here(int family) noexcept:
    """Return whether `pack` and `unpack` know the addresses of this family."""
    return family == AF_INET or family == AF_INET6 or family == AF_UNIX


cdef inline bint heeds_dontwait(int family) noexcept:
    """Return whether MSG_DONTWAIT keeps a call from blocking: a rarer family (AF_ALG) may compute all the same."""
    return family == AF_INET or family == AF_INET6 or family == AF_UNIX


cdef inline bint is_path(Address *packed) noexcept:
    """Return whether the kernel has to look a path up, which may lie on a slow file system."""
    return packed.sa.sa_family == AF_UNIX and packed.un.sun_path[0] != 0


cdef inline bint pack(int family, object address, Address *packed, socklen_t *size) noexcept:
    """Fill `packed` and `size`; return False if this address is for the stdlib."""
    if family == AF_INET:
        return pack_ipv4(address, packed, size)
    if family == AF_INET6:
        return pack_ipv6(address, packed, size)
    if family == AF_UNIX:
        return pack_unix(address, packed, size)
    return False


cdef inline object unpack(Address *packed, socklen_t size):
    """Return the Python address; None if the kernel gave none, (family, bytes) for a family that is not served here."""
    if size == 0:
        return None
    if packed.sa.sa_family == AF_INET:
        return unpack_ipv4(packed)
    if packed.sa.sa_family == AF_INET6:
        return unpack_ipv6(packed)
    if packed.sa.sa_family == AF_UNIX:
        return unpack_unix(packed, size)
    return packed.sa.sa_family, PyBytes_FromStringAndSize(packed.sa.sa_data, sizeof(packed.sa.sa_data))


cdef inline bint pack_host(int family, object host, void *binary) noexcept:
    """Pack a numeric host, as inet_pton(3) takes it; return False for any other."""
    if not (PyUnicode_CheckExact(host) and PyUnicode_IS_COMPACT_ASCII(host)):
        return False
    return (
        strlen(PyUnicode_DATA(host)) == <size_t>PyUnicode_GET_LENGTH(host)
        and inet_pton(family, PyUnicode_DATA(host), binary) == 1
    )


cdef inline bint pack_ipv4(object address, Address *packed, socklen_t *size) noexcept:
    cdef int port = 0
    if not (PyTuple_CheckExact(address) and PyTuple_GET_SIZE(address) == 2):
        return False
    if not as_int(<object>PyTuple_GET_ITEM(address, 1), &port) or not 0 <= port <= 0xFFFF:
        return False
    memset(&packed.in4, 0, sizeof(packed.in4))
    size[0] = sizeof(packed.in4)
    set_sa_len(&packed.sa, size[0])
    packed.in4.sin_family = AF_INET
    packed.in4.sin_port = htons(<unsigned short>port)
    return pack_host(AF_INET, <object>PyTuple_GET_ITEM(address, 0), &packed.in4.sin_addr)


cdef inline object unpack_ipv4(Address *packed):
    cdef char host[HOST_SIZE]
    inet_ntop(AF_INET, &packed.in4.sin_addr, host, sizeof(host))
    return host.decode("ascii"), ntohs(packed.in4.sin_port)


cdef inline bint pack_ipv6(object address, Address *packed, socklen_t *size) noexcept:
    cdef Py_ssize_t count
    cdef int port = 0, flowinfo = 0, scope_id = 0
    if not PyTuple_CheckExact(address):
        return False
    count = PyTuple_GET_SIZE(address)
    if not 2 <= count <= 4:
        return False
    if not as_int(<object>PyTuple_GET_ITEM(address, 1), &port) or not 0 <= port <= 0xFFFF:
        return False
    if count > 2 and (not as_int(<object>PyTuple_GET_ITEM(address, 2), &flowinfo) or not 0 <= flowinfo <= 0xFFFFF):
        return False
    if count > 3 and (not as_int(<object>PyTuple_GET_ITEM(address, 3), &scope_id) or scope_id < 0):
        return False
    memset(&packed.in6, 0, sizeof(packed.in6))
    size[0] = sizeof(packed.in6)
    set_sa_len(&packed.sa, size[0])
    packed.in6.sin6_family = AF_INET6
    packed.in6.sin6_port = htons(<unsigned short>port)
    packed.in6.sin6_flowinfo = htonl(<unsigned int>flowinfo)
    packed.in6.sin6_scope_id = <unsigned int>scope_id
    return pack_host(AF_INET6, <object>PyTuple_GET_ITEM(address, 0), &packed.in6.sin6_addr)


cdef inline object unpack_ipv6(Address *packed):
    cdef char host[HOST_SIZE]
    inet_ntop(AF_INET6, &packed.in6.sin6_addr, host, sizeof(host))
    return (
        host.decode("ascii"),
        ntohs(packed.in6.sin6_port),
        ntohl(packed.in6.sin6_flowinfo),
        packed.in6.sin6_scope_id,
    )


cdef inline bint pack_unix(object address, Address *packed, socklen_t *size) noexcept:
    """Pack a path, or on Linux an abstract name: bytes that begin with NUL, or none if the kernel is to choose it."""
    cdef PyObject *encoded
    cdef bint taken
    if PyBytes_CheckExact(address):
        return pack_path(PyBytes_AS_STRING(address), PyBytes_GET_SIZE(address), packed, size)
    if not PyUnicode_CheckExact(address):
        return False
    encoded = PyUnicode_EncodeFSDefault(address)
    if encoded == NULL:
        PyErr_Clear()
        return False
    taken = pack_path(PyBytes_AS_STRING(<object>encoded), PyBytes_GET_SIZE(<object>encoded), packed, size)
    Py_DECREF(<object>encoded)
    return taken


cdef inline bint pack_path(const char *path, Py_ssize_t length, Address *packed, socklen_t *size) noexcept:
    if length >= <Py_ssize_t>SUN_PATH_SIZE:
        return False
    memset(&packed.un, 0, sizeof(packed.un))
    memcpy(packed.un.sun_path, path, length)
    packed.un.sun_family = AF_UNIX
    size[0] = <socklen_t>(SUN_PATH_OFFSET + length)
    if not ABSTRACT_UNIX or packed.un.sun_path[0] != 0:
        size[0] += 1  # a path counts its NUL
    set_sa_len(&packed.sa, size[0])
    return True


cdef inline object unpack_unix(Address *packed, socklen_t size):
    cdef Py_ssize_t length = <Py_ssize_t>size - <Py_ssize_t>SUN_PATH_OFFSET
    if length <= 0:
        return ""
    if ABSTRACT_UNIX and packed.un.sun_path[0] == 0:
        return PyBytes_FromStringAndSize(packed.un.sun_path, length)
    # The kernel may leave out the NUL of a path that fills sun_path: unix(7).
    (<char *>packed)[SUN_PATH_OFFSET + min(length, <Py_ssize_t>SUN_PATH_SIZE)] = 0
    return PyUnicode_DecodeFSDefault(packed.un.sun_path)
