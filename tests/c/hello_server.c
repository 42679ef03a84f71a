/* The classic first server, in C: wait for one client, send it "Hello World!", close.
 *
 * hello_server [HOST] [PORT]: a numeric address and a port, 0.0.0.0 and 1234 unless given. Port 0 lets the kernel
 * pick one. Prints the address that it listens on.
 */

#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 };

static void check(int ok, const char *call)
{
    if (!ok) {
        perror(call);
        exit(EXIT_FAILURE);
    }
}

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        check(sent >= 0, "send");
        data += sent;
        size -= (size_t)sent;
    }
}

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "0.0.0.0";
    const char *port = argc > 2 ? argv[2] : "1234";
    const int on = 1;
    char buffer[BUFFER_SIZE] = "Hello World!";
    char text[INET_ADDRSTRLEN];
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int server, client;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((in_port_t)atoi(port));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "not an IPv4 address: %s\n", host);
        return EXIT_FAILURE;
    }

    server = socket(AF_INET, SOCK_STREAM, 0);
    check(server >= 0, "socket");
    check(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, "setsockopt");
    check(bind(server, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    check(listen(server, 1) == 0, "listen");
    check(getsockname(server, (struct sockaddr *)&address, &size) == 0, "getsockname");
    check(inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) != NULL, "inet_ntop");
    printf("listening on %s:%d\n", text, ntohs(address.sin_port));
    check(fflush(stdout) == 0, "fflush");

    client = accept(server, NULL, NULL);
    check(client >= 0, "accept");
    send_all(client, buffer, sizeof buffer);
    check(close(client) == 0, "close");
    check(close(server) == 0, "close");
    return EXIT_SUCCESS;
}
