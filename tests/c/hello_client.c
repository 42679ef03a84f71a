/* The classic first client, in C: connect, receive the server's greeting, print it, close.
 *
 * hello_client [HOST] [PORT]: a numeric address and a port, 127.0.0.1 and 1234 unless given.
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

static void recv_exactly(int fd, char *data, size_t size)
{
    while (size > 0) {
        ssize_t received = recv(fd, data, size, 0);
        check(received >= 0, "recv");
        if (received == 0) {
            fprintf(stderr, "the stream ended %zu bytes early\n", size);
            exit(EXIT_FAILURE);
        }
        data += received;
        size -= (size_t)received;
    }
}

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "127.0.0.1";
    const char *port = argc > 2 ? argv[2] : "1234";
    char buffer[BUFFER_SIZE];
    struct sockaddr_in address;
    int client;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((in_port_t)atoi(port));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "not an IPv4 address: %s\n", host);
        return EXIT_FAILURE;
    }

    client = socket(AF_INET, SOCK_STREAM, 0);
    check(client >= 0, "socket");
    check(connect(client, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    recv_exactly(client, buffer, sizeof buffer);
    check(close(client) == 0, "close");
    printf("%.*s\n", BUFFER_SIZE, buffer);
    return EXIT_SUCCESS;
}
