"""C declarations of POSIX socket calls, and of the extensions that are there behind feature tests."""

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <limits.h>
    #include <netinet/in.h>
    #include <netinet/udp.h>
    #include <poll.h>
    #include <stddef.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <sys/un.h>
    #include <time.h>
    #include <unistd.h>

    /* HAVE_ACCEPT4 is CPython's own configure test, from pyconfig.h. */
    #if defined(HAVE_ACCEPT4) && defined(SOCK_CLOEXEC)
    #define FASTSOCK_ACCEPT4 1
    #else
    #define FASTSOCK_ACCEPT4 0
    #endif

    /* Where socket() takes no flags (macOS), they mask nothing and are set by fcntl() instead. */
    #ifdef SOCK_CLOEXEC
    #define FASTSOCK_SOCK_CLOEXEC SOCK_CLOEXEC
    #else
    #define FASTSOCK_SOCK_CLOEXEC 0
    #endif
    #ifdef SOCK_NONBLOCK
    #define FASTSOCK_SOCK_NONBLOCK SOCK_NONBLOCK
    #else
    #define FASTSOCK_SOCK_NONBLOCK 0
    #endif

    /* A system without MSG_DONTWAIT makes no first try. */
    #ifdef MSG_DONTWAIT
    #define FASTSOCK_DONTWAIT MSG_DONTWAIT
    #else
    #define FASTSOCK_DONTWAIT 0
    #endif

    /* Elsewhere (XNU, older FreeBSD) a send may heed O_NONBLOCK alone, and block under MSG_DONTWAIT. */
    #ifdef __linux__
    #define FASTSOCK_SEND_HEEDS_DONTWAIT 1
    #else
    #define FASTSOCK_SEND_HEEDS_DONTWAIT 0
    #endif

    #ifdef MSG_FASTOPEN
    #define FASTSOCK_FASTOPEN MSG_FASTOPEN
    #else
    #define FASTSOCK_FASTOPEN 0
    #endif

    #ifdef __linux__
    #define FASTSOCK_ABSTRACT_UNIX 1
    #else
    #define FASTSOCK_ABSTRACT_UNIX 0
    #endif

    #ifdef IOV_MAX
    #define FASTSOCK_IOV_MAX IOV_MAX
    #else
    #define FASTSOCK_IOV_MAX 16  /* _XOPEN_IOV_MAX, the least that POSIX allows */
    #endif

    /* Who has sendmmsg() and recvmmsg() has this flag of the latter: Linux and the BSDs, not macOS. */
    #ifdef MSG_WAITFORONE
    #define FASTSOCK_MMSG 1
    #define FASTSOCK_WAITFORONE MSG_WAITFORONE
    #define fastsock_mmsghdr mmsghdr
    #define fastsock_sendmmsg sendmmsg
    #define fastsock_recvmmsg(fd, messages, count, flags) recvmmsg(fd, messages, count, flags, NULL)
    #else
    #define FASTSOCK_MMSG 0
    #define FASTSOCK_WAITFORONE 0
    struct fastsock_mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    #define fastsock_sendmmsg(fd, messages, count, flags) (errno = ENOSYS, -1)
    #define fastsock_recvmmsg(fd, messages, count, flags) (errno = ENOSYS, -1)
    #endif

    /* udp(7). Headers older than the kernel lack them; the numbers are its ABI. */
    #ifdef __linux__
    #define FASTSOCK_UDP_SEGMENT 103
    #define FASTSOCK_UDP_GRO 104
    #else
    #define FASTSOCK_UDP_SEGMENT 0
    #define FASTSOCK_UDP_GRO 0
    #endif

    #ifdef IPPROTO_UDPLITE
    #define FASTSOCK_UDPLITE IPPROTO_UDPLITE
    #else
    #define FASTSOCK_UDPLITE IPPROTO_UDP
    #endif

    /* A kernel, a sandbox or an emulator may lack what the headers have: then as without it, as in CPython. */
    static inline int fastsock_close_on_exec(int fd)
    {
        if (fd >= 0)
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        return fd;
    }

    static inline int fastsock_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
    {
    #if FASTSOCK_ACCEPT4
        int child = accept4(fd, address, size, flags);
        if (child >= 0 || errno != ENOSYS)
            return child;
    #endif
        (void)flags;
        return fastsock_close_on_exec(accept(fd, address, size));
    }

    static inline int fastsock_socket(int family, int type, int protocol)
    {
    #ifdef SOCK_CLOEXEC
        int fd = socket(family, type | SOCK_CLOEXEC, protocol);
        if (fd >= 0 || errno != EINVAL)
            return fd;
    #endif
        return fastsock_close_on_exec(socket(family, type, protocol));
    }

    /* BSD's and macOS's addresses begin with their own length. */
    #ifdef HAVE_SOCKADDR_SA_LEN
    #define fastsock_set_sa_len(address, size) ((address)->sa_len = (unsigned char)(size))
    #else
    #define fastsock_set_sa_len(address, size) ((void)0)
    #endif
    """
    ctypedef unsigned int socklen_t
    ctypedef unsigned short sa_family_t
    ctypedef unsigned short in_port_t

    struct sockaddr:
        sa_family_t sa_family
        char sa_data[14]

    struct in_addr:
        unsigned int s_addr

    struct sockaddr_in:
        sa_family_t sin_family
        in_port_t sin_port
        in_addr sin_addr

    struct in6_addr:
        pass

    struct sockaddr_in6:
        sa_family_t sin6_family
        in_port_t sin6_port
        unsigned int sin6_flowinfo
        in6_addr sin6_addr
        unsigned int sin6_scope_id

    struct sockaddr_un:
        sa_family_t sun_family
        char sun_path[0]  # 104 to 108 bytes, by platform: use sizeof, never this length

    struct sockaddr_storage:
        sa_family_t ss_family

    struct iovec:
        void *iov_base
        size_t iov_len

    struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags

    struct mmsghdr "fastsock_mmsghdr":
        msghdr msg_hdr
        unsigned int msg_len

    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type

    struct pollfd:
        int fd
        short events
        short revents

    struct timespec:
        long tv_sec
        long tv_nsec

    int AF_INET, AF_INET6, AF_UNIX
    int SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SOMAXCONN
    int IPPROTO_UDP
    int IPPROTO_UDPLITE "FASTSOCK_UDPLITE"
    int SOL_SOCKET, SO_ERROR
    int MSG_PEEK, MSG_TRUNC, MSG_WAITALL
    int MSG_DONTWAIT "FASTSOCK_DONTWAIT"
    int MSG_FASTOPEN "FASTSOCK_FASTOPEN"
    int MSG_WAITFORONE "FASTSOCK_WAITFORONE"
    int HAVE_MMSG "FASTSOCK_MMSG"
    int UDP_SEGMENT "FASTSOCK_UDP_SEGMENT"
    int UDP_GRO "FASTSOCK_UDP_GRO"
    int SEND_HEEDS_DONTWAIT "FASTSOCK_SEND_HEEDS_DONTWAIT"
    int SOCK_CLOEXEC "FASTSOCK_SOCK_CLOEXEC"
    int SOCK_NONBLOCK "FASTSOCK_SOCK_NONBLOCK"
    int ABSTRACT_UNIX "FASTSOCK_ABSTRACT_UNIX"
    int HAVE_ACCEPT4 "FASTSOCK_ACCEPT4"
    int IOV_MAX "FASTSOCK_IOV_MAX"
    int INT_MAX
    short POLLIN, POLLOUT, POLLERR
    int CLOCK_MONOTONIC
    int EAGAIN, EWOULDBLOCK, ECONNRESET, EINPROGRESS, EINTR, EISCONN, EMSGSIZE, ENOSYS

    int errno
    size_t SUN_PATH_OFFSET "offsetof(struct sockaddr_un, sun_path)"
    size_t SUN_PATH_SIZE "sizeof(((struct sockaddr_un *)0)->sun_path)"

    int socket "fastsock_socket"(int family, int type, int protocol) nogil
    int bind(int fd, const sockaddr *address, socklen_t size) nogil
    int listen(int fd, int backlog) nogil
    int accept4 "fastsock_accept4"(int fd, sockaddr *address, socklen_t *size, int flags) nogil
    int connect(int fd, const sockaddr *address, socklen_t size) nogil
    int shutdown(int fd, int how) nogil
    int close(int fd) nogil
    int getsockname(int fd, sockaddr *address, socklen_t *size) nogil
    int getpeername(int fd, sockaddr *address, socklen_t *size) nogil
    int getsockopt(int fd, int level, int option, void *value, socklen_t *size) nogil
    ssize_t recv(int fd, void *buffer, size_t size, int flags) nogil
    ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, sockaddr *address, socklen_t *address_size) nogil
    ssize_t recvmsg(int fd, msghdr *message, int flags) nogil
    ssize_t send(int fd, const void *buffer, size_t size, int flags) nogil
    ssize_t sendto(
        int fd, const void *buffer, size_t size, int flags, const sockaddr *address, socklen_t address_size
    ) nogil
    ssize_t sendmsg(int fd, const msghdr *message, int flags) nogil
    int sendmmsg "fastsock_sendmmsg"(int fd, mmsghdr *messages, unsigned int count, int flags) nogil
    int recvmmsg "fastsock_recvmmsg"(int fd, mmsghdr *messages, unsigned int count, int flags) nogil
    cmsghdr *CMSG_FIRSTHDR(msghdr *message) nogil
    cmsghdr *CMSG_NXTHDR(msghdr *message, cmsghdr *control) nogil
    unsigned char *CMSG_DATA(cmsghdr *control) nogil
    size_t CMSG_LEN(size_t size) nogil
    size_t CMSG_SPACE(size_t size) nogil
    int poll(pollfd *fds, unsigned long nfds, int milliseconds) nogil
    int clock_gettime(int clock, timespec *now) nogil

    int inet_pton(int family, const char *text, void *binary) nogil
    const char *inet_ntop(int family, const void *binary, char *text, socklen_t size) nogil
    unsigned short htons(unsigned short value) nogil
    unsigned short ntohs(unsigned short value) nogil
    unsigned int htonl(unsigned int value) nogil
    unsigned int ntohl(unsigned int value) nogil

    void set_sa_len "fastsock_set_sa_len"(sockaddr *address, size_t size) nogil
