/* The other end of the scenarios, in C so that it is not what is measured.
 *
 *   load echo PORT CONNECTIONS SIZE   a client of an echo server on 127.0.0.1. For each line "N" on stdin it has N
 *                                     messages echoed, one on its way per connection, compares what comes back, and
 *                                     answers with the seconds that it took.
 *   load datagrams PORT FLOWS EACH SIZE
 *                                     the same over UDP: each flow has a socket of its own, and EACH datagrams on their
 *                                     way; what is lost is sent again
 *   load source FD                    sends to FD until the other end closes
 *   load sink FD                      receives from FD until the other end shuts down, answers with the byte count
 */
#define _GNU_SOURCE  /* sendmmsg, recvmmsg */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, MAX_CONNECTIONS = 1024, MAX_EVENTS = 256 };
enum { MAX_EACH = 64, MAX_DATAGRAM = 2048 };
enum { PATIENCE = 200, LINGER = 2 };  /* milliseconds: until a datagram is taken to be lost; until the last one came */

static char buffer[CHUNK], pattern[CHUNK];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    return clock.tv_sec + clock.tv_nsec / 1e9;
}

static int source(int fd)
{
    memset(buffer, 'x', sizeof buffer);
    while (send(fd, buffer, sizeof buffer, 0) > 0) {
    }
    return 0;
}

static int sink(int fd)
{
    long long total = 0;
    ssize_t received;
    while ((received = recv(fd, buffer, sizeof buffer, 0)) > 0)
        total += received;
    if (received < 0)
        fail("recv");
    printf("%lld\n", total);
    return 0;
}

static int connect_to(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_message(int fd, size_t size)
{
    if (send(fd, pattern, size, 0) != (ssize_t)size)
        fail("send");
}

static double echo(int epoll, const int *fds, size_t *received, int connections, size_t size, long messages)
{
    struct epoll_event events[MAX_EVENTS];
    long sent = 0, back = 0;
    double start = now();
    for (; sent < connections && sent < messages; sent++)
        send_message(fds[sent], size);
    while (back < messages) {
        int count = epoll_wait(epoll, events, MAX_EVENTS, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            int which = events[i].data.u32;
            ssize_t part = recv(fds[which], buffer, size - received[which], 0);
            if (part <= 0)
                fail("recv");
            if (memcmp(buffer, pattern + received[which], part) != 0) {
                fprintf(stderr, "the echo differs from what was sent\n");
                exit(1);
            }
            received[which] += part;
            if (received[which] < size)
                continue;
            received[which] = 0;
            back++;
            if (sent < messages) {
                sent++;
                send_message(fds[which], size);
            }
        }
    }
    return now() - start;
}

static int echo_client(int port, int connections, size_t size)
{
    static int fds[MAX_CONNECTIONS];
    static size_t received[MAX_CONNECTIONS];
    long messages;
    int epoll = epoll_create1(0);
    if (connections > MAX_CONNECTIONS || size > sizeof pattern)
        return 2;
    for (size_t i = 0; i < size; i++)
        pattern[i] = (char)(i * 31 + 7);
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        fds[i] = connect_to(port);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) < 0)
            fail("epoll_ctl");
    }
    echo(epoll, fds, received, connections, size, connections);
    while (scanf("%ld", &messages) == 1) {
        printf("%.9f\n", echo(epoll, fds, received, connections, size, messages));
        fflush(stdout);
    }
    return 0;
}

static long send_datagrams(int fd, int count, size_t size)
{
    struct iovec part = {.iov_base = pattern, .iov_len = size};
    struct mmsghdr messages[MAX_EACH];
    int sent;
    if (count == 1)
        return send(fd, pattern, size, 0) == (ssize_t)size;
    memset(messages, 0, sizeof messages[0] * count);
    for (int i = 0; i < count; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    sent = sendmmsg(fd, messages, count, 0);
    return sent < 0 ? 0 : sent;
}

static int receive_datagrams(int fd, int most, size_t size)
{
    static char copies[MAX_EACH][MAX_DATAGRAM];
    struct iovec parts[MAX_EACH];
    struct mmsghdr messages[MAX_EACH];
    int count = 1;
    memset(messages, 0, sizeof messages[0] * most);
    for (int i = 0; i < most; i++) {
        parts[i] = (struct iovec){.iov_base = copies[i], .iov_len = sizeof copies[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    if (most == 1) {
        ssize_t received = recv(fd, copies[0], sizeof copies[0], MSG_DONTWAIT);
        if (received < 0)
            return 0;
        messages[0].msg_len = received;
    } else if ((count = recvmmsg(fd, messages, most, MSG_DONTWAIT, NULL)) < 0) {
        return 0;
    }
    for (int i = 0; i < count; i++)
        if (messages[i].msg_len != size || memcmp(copies[i], pattern, size) != 0) {
            fprintf(stderr, "the echo differs from what was sent\n");
            exit(1);
        }
    return count;
}

static double echo_datagrams(int epoll, const int *fds, int flows, int each, size_t size, long messages)
{
    struct epoll_event events[MAX_EVENTS];
    long back = 0;
    double start = now();
    for (int i = 0; i < flows; i++)
        send_datagrams(fds[i], each, size);
    while (back < messages) {
        int count = epoll_wait(epoll, events, MAX_EVENTS, PATIENCE);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        if (count == 0)
            for (int i = 0; i < flows; i++)
                send_datagrams(fds[i], each, size);
        for (int i = 0; i < count; i++) {
            int fd = fds[events[i].data.u32], received = receive_datagrams(fd, each, size);
            back += received;
            if (received > 0 && back < messages)
                send_datagrams(fd, received, size);
        }
    }
    double seconds = (now() - start) * messages / back;
    for (int quiet = 0; !quiet;) {  /* what is still on its way */
        int count = epoll_wait(epoll, events, MAX_EVENTS, LINGER);
        for (int i = 0; i < count; i++)
            receive_datagrams(fds[events[i].data.u32], each, size);
        quiet = count <= 0;
    }
    return seconds;
}

static int datagram_client(int port, int flows, int each, size_t size)
{
    static int fds[MAX_CONNECTIONS];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    long messages;
    int epoll = epoll_create1(0);
    if (flows > MAX_CONNECTIONS || each > MAX_EACH || size > MAX_DATAGRAM)
        return 2;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < size; i++)
        pattern[i] = (char)(i * 31 + 7);
    for (int i = 0; i < flows; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&address, sizeof address) < 0)
            fail("connect");
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) < 0)
            fail("epoll_ctl");
    }
    echo_datagrams(epoll, fds, flows, each, size, flows * each);
    while (scanf("%ld", &messages) == 1) {
        printf("%.9f\n", echo_datagrams(epoll, fds, flows, each, size, messages));
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "source") == 0)
        return source(atoi(argv[2]));
    if (argc == 3 && strcmp(argv[1], "sink") == 0)
        return sink(atoi(argv[2]));
    if (argc == 5 && strcmp(argv[1], "echo") == 0)
        return echo_client(atoi(argv[2]), atoi(argv[3]), strtoul(argv[4], NULL, 10));
    if (argc == 6 && strcmp(argv[1], "datagrams") == 0)
        return datagram_client(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), strtoul(argv[5], NULL, 10));
    fprintf(stderr, "usage: load echo PORT CONNECTIONS SIZE | datagrams PORT FLOWS EACH SIZE | source FD | sink FD\n");
    return 2;
}
