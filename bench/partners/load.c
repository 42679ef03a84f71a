/* The other end of the scenarios, in C so that it is not what is measured.
 *
 *   load echo PORT CONNECTIONS SIZE   a client of an echo server on 127.0.0.1. For each line "N" on stdin it has N
 *                                     messages echoed, one on its way per connection, compares what comes back, and
 *                                     answers with the seconds that it took.
 *   load source FD                    sends to FD until the other end closes
 *   load sink FD                      receives from FD until the other end shuts down, answers with the byte count
 */
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

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "source") == 0)
        return source(atoi(argv[2]));
    if (argc == 3 && strcmp(argv[1], "sink") == 0)
        return sink(atoi(argv[2]));
    if (argc == 5 && strcmp(argv[1], "echo") == 0)
        return echo_client(atoi(argv[2]), atoi(argv[3]), strtoul(argv[4], NULL, 10));
    fprintf(stderr, "usage: load echo PORT CONNECTIONS SIZE | source FD | sink FD\n");
    return 2;
}
