"""The ends of a frame: behind a length prefix, a varint (protobuf's), or in front of a delimiter."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport UINT64_MAX, uint64_t
from libc.string cimport memchr, memcmp

cdef enum:
    DELIMITED = -1  # as a Framing's prefix
    VARINT = 0
    LONGEST_PREFIX = 10  # bytes: a varint of 64 bits

cdef enum Found:
    WHOLE
    PARTIAL    # more bytes are needed
    TOO_LARGE
    MALFORMED  # a varint of more than 64 bits

cdef struct Framing:
    int prefix         # 1, 2, 4, 8 bytes, VARINT or DELIMITED
    bint little        # endian
    uint64_t max_size  # of a frame in bytes, without its prefix or delimiter

cdef struct Frame:
    Py_ssize_t start   # where it begins, behind its prefix
    uint64_t size      # bytes, as its prefix says; the greatest: not known
    Py_ssize_t total   # bytes with prefix or delimiter; of a partial one how many are needed to go on


cdef inline uint64_t decode(const unsigned char *data, int size, bint little) noexcept:
    cdef uint64_t value = 0
    cdef int i
    if size == 4 and not little:
        return <uint64_t>data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3]  # one load, to the compiler
    for i in range(size):
        value = value << 8 | data[size - 1 - i if little else i]
    return value


cdef inline int encode(const Framing *framing, uint64_t size, unsigned char *prefix) noexcept:
    """Write the prefix of a frame of that size; return the prefix's length, 0 if the size does not fit."""
    cdef int i
    if framing.prefix == VARINT:
        i = 0
        while size >= 0x80:
            prefix[i] = <unsigned char>(size & 0x7F | 0x80)
            size >>= 7
            i += 1
        prefix[i] = <unsigned char>size
        return i + 1
    if framing.prefix < 8 and size >> (8 * framing.prefix):
        return 0
    for i in range(framing.prefix):
        prefix[i if framing.little else framing.prefix - 1 - i] = <unsigned char>(size >> (8 * i))
    return framing.prefix


cdef inline Found find_prefixed(const Framing *framing, const char *data, Py_ssize_t buffered, Frame *frame) noexcept:
    """Return the first frame of the `buffered` bytes."""
    cdef Found found = WHOLE
    if framing.prefix == VARINT:
        found = read_varint(<const unsigned char *>data, buffered, frame)
        if found != WHOLE:
            return found
    else:
        frame.start = framing.prefix
        if buffered < frame.start:
            frame.total = frame.start
            return PARTIAL
        frame.size = decode(<const unsigned char *>data, framing.prefix, framing.little)
    if frame.size > framing.max_size:
        return TOO_LARGE
    frame.total = frame.start + <Py_ssize_t>frame.size
    return WHOLE if buffered >= frame.total else PARTIAL


cdef inline Found read_varint(const unsigned char *data, Py_ssize_t buffered, Frame *frame) noexcept:
    """Read a varint: seven bits a byte, the lowest first; the highest bit says that more follow (protobuf)."""
    cdef int i
    frame.size = 0
    for i in range(LONGEST_PREFIX):
        if i >= buffered:
            frame.total = i + 1
            return PARTIAL
        if i == LONGEST_PREFIX - 1 and data[i] > 1:
            break
        frame.size |= <uint64_t>(data[i] & 0x7F) << (7 * i)
        if data[i] < 0x80:
            frame.start = i + 1
            return WHOLE
    return MALFORMED


cdef inline Found find_delimited(
    const Framing *framing, bytes delimiter, const char *data, Py_ssize_t size, Py_ssize_t *searched, Frame *frame
) noexcept:
    """Find the first frame of the bytes. `searched` of them are known to hold no delimiter; more, if none is found."""
    cdef Py_ssize_t delimiter_size = PyBytes_GET_SIZE(delimiter)
    cdef Py_ssize_t at = find(data + searched[0], size - searched[0], PyBytes_AS_STRING(delimiter), delimiter_size)
    frame.start = 0
    if at >= 0:
        frame.size = searched[0] + at
        frame.total = <Py_ssize_t>frame.size + delimiter_size
        return TOO_LARGE if frame.size > framing.max_size else WHOLE
    searched[0] = max(0, size + 1 - delimiter_size)
    frame.size = UINT64_MAX
    frame.total = 2 * size + 1
    return TOO_LARGE if <uint64_t>searched[0] > framing.max_size else PARTIAL


cdef inline bint has_delimiter(const char *data, Py_ssize_t size, bytes delimiter) except -1:
    """Return whether a reader would find the delimiter too early, be it only together with that at the frame's end."""
    cdef Py_ssize_t delimiter_size = PyBytes_GET_SIZE(delimiter)
    cdef Py_ssize_t overlap = min(delimiter_size - 1, size)
    if find(data, size, PyBytes_AS_STRING(delimiter), delimiter_size) >= 0:
        return True
    if overlap == 0:
        return False
    return delimiter in PyBytes_FromStringAndSize(data + size - overlap, overlap) + delimiter[:-1]


cdef inline Py_ssize_t find(const char *data, Py_ssize_t size, const char *wanted, Py_ssize_t wanted_size) noexcept:
    """Return the first index of `wanted`, of at least one byte; -1 if there is none."""
    cdef const char *at = data
    cdef const char *last
    if size < wanted_size:
        return -1
    last = data + (size - wanted_size)
    while at <= last:
        at = <const char *>memchr(at, wanted[0], last - at + 1)
        if at == NULL:
            return -1
        if wanted_size == 1 or memcmp(at, wanted, wanted_size) == 0:
            return at - data
        at += 1
    return -1
