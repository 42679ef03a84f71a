/* The system calls of the cases in plain C loops: what no socket module can be faster than.
 *
 *   limit OPERATION LINK SIZE MODE
 *
 * LINK is unix, tcp, udp or "udp with GRO"; SIZE is in bytes; MODE is blocking, or anything else for non-blocking fds, which a socket
 * with a timeout has too. For each line "N" on stdin it does the operation N times and answers with the seconds;
 * again, if another process got the CPU meanwhile.
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* TRIES, SEND_BUFFER, RECEIVE_BUFFER, DATAGRAMS, DATAGRAM_COST and MOST_ROUNDS are harness/quantities.py's. */
enum { LARGEST = 256 * 1024, BATCH = 64 };

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

static char outgoing[LARGEST], incoming[LARGEST];
static int a, b, listener;
static size_t size;
static struct sockaddr_in target, listening;

static void check(int fine, const char *what)
{
    if (!fine) {
        perror(what);
        exit(1);
    }
}

static double now(void)
{
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    return clock.tv_sec + clock.tv_nsec / 1e9;
}

static struct sockaddr_in any_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void bind_and_ask(int fd, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    *address = any_port();
    check(bind(fd, (struct sockaddr *)address, length) == 0, "bind");
    check(getsockname(fd, (struct sockaddr *)address, &length) == 0, "getsockname");
}

static void make_listener(void)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    bind_and_ask(listener, &listening);
    check(listen(listener, 128) == 0, "listen");
}

static void make_pair(const char *link, const char *mode)
{
    int fds[2], one = 1, bytes = SEND_BUFFER;
    if (strcmp(link, "unix") == 0) {
        check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "socketpair");
        a = fds[0];
        b = fds[1];
        setsockopt(a, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    } else if (strcmp(link, "tcp") == 0) {
        a = socket(AF_INET, SOCK_STREAM, 0);
        check(connect(a, (struct sockaddr *)&listening, sizeof listening) == 0, "connect");
        b = accept(listener, NULL, NULL);
        setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    } else {
        struct sockaddr_in unused;
        a = socket(AF_INET, SOCK_DGRAM, 0);
        b = socket(AF_INET, SOCK_DGRAM, 0);
        bind_and_ask(a, &unused);
        bind_and_ask(b, &target);
        bytes = RECEIVE_BUFFER;
        setsockopt(b, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
        if (strcmp(link, "udp") != 0)
            check(setsockopt(b, IPPROTO_UDP, UDP_GRO, &one, sizeof one) == 0, "UDP_GRO");
    }
    if (strcmp(mode, "blocking") != 0) {
        check(fcntl(a, F_SETFL, O_NONBLOCK) == 0, "fcntl");
        check(fcntl(b, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    }
}

static void receive_all(size_t left, size_t at_once)
{
    while (left > 0) {
        ssize_t part = recv(b, incoming, at_once < left ? at_once : left, 0);
        check(part > 0, "recv");
        left -= part;
    }
}

static void send_recv(void)
{
    check(send(a, outgoing, size, 0) == (ssize_t)size, "send");
    receive_all(size, size);
}

static void recv_large(void)
{
    check(send(a, outgoing, 64, 0) == 64, "send");
    check(recv(b, incoming, LARGEST, 0) == 64, "recv");
}

static void recv_filled(void)
{
    check(send(a, outgoing, LARGEST, 0) == LARGEST, "send");
    receive_all(LARGEST, LARGEST);
}

static void sendmsg_recvmsg(void)
{
    struct iovec out = {outgoing, size};
    struct msghdr message = {.msg_iov = &out, .msg_iovlen = 1};
    size_t left = size;
    check(sendmsg(a, &message, 0) == (ssize_t)size, "sendmsg");
    while (left > 0) {
        struct sockaddr_storage address;
        struct iovec in = {incoming, left};
        struct msghdr got = {
            .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &in, .msg_iovlen = 1,
        };
        ssize_t part = recvmsg(b, &got, 0);
        check(part > 0, "recvmsg");
        left -= part;
    }
}

static void sendto_recvfrom(void)
{
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    check(sendto(a, outgoing, size, 0, (struct sockaddr *)&target, sizeof target) == (ssize_t)size, "sendto");
    check(recvfrom(b, incoming, size, 0, (struct sockaddr *)&from, &length) == (ssize_t)size, "recvfrom");
}

static void ask_sockname(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    check(getsockname(a, (struct sockaddr *)&address, &length) == 0, "getsockname");
}

static void ask_peername(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    check(getpeername(a, (struct sockaddr *)&address, &length) == 0, "getpeername");
}

static void socket_close(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket");
    close(fd);
}

static void listen_again(void)
{
    check(listen(listener, 16) == 0, "listen");
}

static void connect_accept_close(void)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;
    check(connect(client, (struct sockaddr *)&listening, sizeof listening) == 0, "connect");
    server = accept4(listener, (struct sockaddr *)&address, &length, SOCK_CLOEXEC);
    check(server >= 0, "accept");
    close(server);
    close(client);
}

static void wait_readable(int fd)
{
    struct pollfd target = {.fd = fd, .events = POLLIN};
    poll(&target, 1, -1);
}

static int nonblocking;

static void exchange(int fd, int begins)
{
    if (begins)
        check(send(fd, outgoing, size, 0) == (ssize_t)size, "send");
    if (nonblocking)
        wait_readable(fd);
    if (recv(fd, incoming, size, 0) != (ssize_t)size) /* the other process is gone */
        exit(!begins ? 0 : 1);
    if (!begins)
        check(send(fd, outgoing, size, 0) == (ssize_t)size, "send");
}

static void ping_pong(void)
{
    exchange(a, 1);
}

static double time_bind(long n)
{
    double seconds = 0;
    while (n > 0) {
        int fds[BATCH], count = n < BATCH ? (int)n : BATCH;
        double start;
        for (int i = 0; i < count; i++)
            fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        start = now();
        for (int i = 0; i < count; i++) {
            struct sockaddr_in address = any_port();
            check(bind(fds[i], (struct sockaddr *)&address, sizeof address) == 0, "bind");
        }
        seconds += now() - start;
        for (int i = 0; i < count; i++)
            close(fds[i]);
        n -= count;
    }
    return seconds;
}

static void send_datagrams(void)
{
    for (int i = 0; i < DATAGRAMS; i++)
        check(sendto(a, outgoing, size, 0, (struct sockaddr *)&target, sizeof target) == (ssize_t)size, "sendto");
}

static void receive_datagrams(void)
{
    receive_all(DATAGRAMS * size, LARGEST);
}

static void send_batch(void)
{
    struct mmsghdr messages[DATAGRAMS];
    struct iovec parts[DATAGRAMS];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < DATAGRAMS; i++) {
        parts[i].iov_base = outgoing;
        parts[i].iov_len = size;
        messages[i].msg_hdr.msg_name = &target;
        messages[i].msg_hdr.msg_namelen = sizeof target;
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    check(sendmmsg(a, messages, DATAGRAMS, 0) == DATAGRAMS, "sendmmsg");
}

static void receive_batch(void)
{
    struct mmsghdr messages[DATAGRAMS];
    struct iovec parts[DATAGRAMS];
    struct sockaddr_in addresses[DATAGRAMS];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < DATAGRAMS; i++) {
        parts[i].iov_base = incoming + i * 2048;
        parts[i].iov_len = 2048;
        messages[i].msg_hdr.msg_name = &addresses[i];
        messages[i].msg_hdr.msg_namelen = sizeof addresses[i];
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    check(recvmmsg(b, messages, DATAGRAMS, MSG_WAITFORONE, NULL) == DATAGRAMS, "recvmmsg");
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void send_segments(void)
{
    union control control;
    struct iovec part = {outgoing, DATAGRAMS * size};
    struct msghdr message = {
        .msg_name = &target, .msg_namelen = sizeof target, .msg_iov = &part, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(unsigned short)),
    };
    struct cmsghdr *header;
    unsigned short segment_size = size;
    memset(&control, 0, sizeof control);
    header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof segment_size);
    memcpy(CMSG_DATA(header), &segment_size, sizeof segment_size);
    check(sendmsg(a, &message, 0) == (ssize_t)(DATAGRAMS * size), "sendmsg");
}

static void receive_segments(void)
{
    union control control;
    struct sockaddr_in address;
    struct iovec part = {incoming, LARGEST};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof control,
    };
    check(recvmsg(b, &message, 0) == (ssize_t)(DATAGRAMS * size), "recvmsg");
    check(message.msg_controllen > 0, "UDP_GRO");
}

static void nothing(void)
{
}

/* The operation alone, between what fills the receive buffer and what empties it. */
static double time_rounds(void (*before)(void), void (*operation)(void), void (*after)(void), long n)
{
    double seconds = 0, start;
    int room = 0;
    socklen_t length = sizeof room;
    getsockopt(b, SOL_SOCKET, SO_RCVBUF, &room, &length);
    room /= DATAGRAMS * DATAGRAM_COST;
    room = room < 1 ? 1 : room > MOST_ROUNDS ? MOST_ROUNDS : room;
    for (; n > 0; n -= room) {
        int count = n < room ? (int)n : room;
        for (int i = 0; i < count; i++)
            before();
        start = now();
        for (int i = 0; i < count; i++)
            operation();
        seconds += now() - start;
        for (int i = 0; i < count; i++)
            after();
    }
    return seconds;
}

static double time_sendmmsg(long n)
{
    return time_rounds(nothing, send_batch, receive_datagrams, n);
}

static double time_recvmmsg(long n)
{
    return time_rounds(send_datagrams, receive_batch, nothing, n);
}

static double time_send_segments(long n)
{
    return time_rounds(nothing, send_segments, receive_datagrams, n);
}

static double time_recv_segments(long n)
{
    return time_rounds(send_segments, receive_segments, nothing, n);
}

static double time_loop(void (*operation)(void), long n)
{
    double start = now();
    for (long i = 0; i < n; i++)
        operation();
    return now() - start;
}

static long preemptions(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nivcsw;
}

static double time_operation(void (*operation)(void), double (*timing)(long), long n)
{
    double seconds = 0;
    for (int tries = 0; tries < TRIES; tries++) {
        long disturbances = preemptions();
        seconds = timing ? timing(n) : time_loop(operation, n);
        if (operation == ping_pong || preemptions() == disturbances)
            break;
    }
    return seconds;
}

static const struct {
    const char *name;
    void (*operation)(void);
    double (*timing)(long); /* for those that time a part only */
} operations[] = {
    {"send_recv", send_recv, NULL},
    {"recv_large", recv_large, NULL},
    {"recv_filled", recv_filled, NULL},
    {"sendmsg_recvmsg", sendmsg_recvmsg, NULL},
    {"sendto_recvfrom", sendto_recvfrom, NULL},
    {"getsockname", ask_sockname, NULL},
    {"getpeername", ask_peername, NULL},
    {"socket_close", socket_close, NULL},
    {"listen", listen_again, NULL},
    {"connect_accept_close", connect_accept_close, NULL},
    {"ping_pong", ping_pong, NULL},
    {"bind", NULL, time_bind},
    {"sendmmsg", NULL, time_sendmmsg},
    {"recvmmsg", NULL, time_recvmmsg},
    {"send_segments", NULL, time_send_segments},
    {"recv_segments", NULL, time_recv_segments},
};

int main(int argc, char **argv)
{
    long n;
    size_t which = 0, known = sizeof operations / sizeof operations[0];
    if (argc != 5) {
        fprintf(stderr, "usage: limit OPERATION LINK SIZE MODE\n");
        return 2;
    }
    while (which < known && strcmp(operations[which].name, argv[1]) != 0)
        which++;
    size = strtoul(argv[3], NULL, 10);
    if (which == known || size > LARGEST) {
        fprintf(stderr, "limit: no such operation, or too large a size\n");
        return 2;
    }
    memset(outgoing, 'x', sizeof outgoing);
    make_listener();
    make_pair(argv[2], argv[4]);
    nonblocking = strcmp(argv[4], "blocking") != 0;
    if (strcmp(argv[1], "ping_pong") == 0) {
        if (fork() == 0) {
            close(a);
            while (1)
                exchange(b, 0);
        }
        close(b);
    }
    while (scanf("%ld", &n) == 1) {
        printf("%.9f\n", time_operation(operations[which].operation, operations[which].timing, n));
        fflush(stdout);
    }
    return 0;
}
