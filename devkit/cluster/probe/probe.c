/*
 * A test program for pods, static, so that its image is this one file. It does what its arguments
 * say, in turn, prints one line for each, and exits with 0:
 *
 *   env:NAME          NAME=value
 *   open:PATH         PATH: ok, or why it cannot be opened for reading and writing
 *   write:PATH:BYTES  PATH: ok, or why so many bytes cannot be written there
 *   serve:PORT        answers every connection with "hello"; ends with the pod
 *   resolve:NAME      NAME: its IPv4 address, by the pod's own resolv.conf, or "unknown"
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void report(const char *subject, int error) {
    printf("%s: %s\n", subject, error ? strerror(error) : "ok");
}

static void try_open(const char *path) {
    int file = open(path, O_RDWR);
    report(path, file < 0 ? errno : 0);
    if (file >= 0) {
        close(file);
    }
}

static void try_write(char *argument) {
    char *colon = strrchr(argument, ':');
    char block[4096];
    long left = atol(colon + 1);
    int file, error = 0;

    *colon = '\0';
    memset(block, 'x', sizeof block);
    file = open(argument, O_WRONLY | O_CREAT, 0644);
    if (file < 0) {
        report(argument, errno);
        return;
    }
    while (left > 0 && !error) {
        ssize_t done = write(file, block, left < (long)sizeof block ? (size_t)left : sizeof block);
        if (done < 0) {
            error = errno;
        } else {
            left -= done;
        }
    }
    if (close(file) < 0 && !error) {
        error = errno;
    }
    report(argument, error);
}

/* res_search and not getaddrinfo, which in a static program wants libraries at run time. */
static void resolve(const char *name) {
    unsigned char answer[NS_PACKETSZ * 8];
    char address[INET_ADDRSTRLEN];
    ns_msg message;
    ns_rr record;
    int i, size = res_search(name, ns_c_in, ns_t_a, answer, sizeof answer);

    if (size > 0 && ns_initparse(answer, size, &message) == 0) {
        for (i = 0; i < ns_msg_count(message, ns_s_an); i++) {
            if (ns_parserr(&message, ns_s_an, i, &record) == 0 && ns_rr_type(record) == ns_t_a) {
                inet_ntop(AF_INET, ns_rr_rdata(record), address, sizeof address);
                printf("%s: %s\n", name, address);
                return;
            }
        }
    }
    printf("%s: unknown\n", name);
}

/* Process 1 ignores a signal that it has no handler for. */
static void leave(int signal) {
    (void)signal;
    _exit(0);
}

static void serve(int port) {
    static const char answer[] = "HTTP/1.0 200 OK\r\n\r\nhello";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    char request[4096];

    signal(SIGTERM, leave);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) {
        report("serve", errno);
        return;
    }
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0 && read(connection, request, sizeof request) >= 0) {
            if (write(connection, answer, sizeof answer - 1) < 0) {
                report("serve", errno);
            }
        }
        close(connection);
    }
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) {
        char *argument = arguments[i];
        if (strncmp(argument, "env:", 4) == 0) {
            char *value = getenv(argument + 4);
            printf("%s=%s\n", argument + 4, value ? value : "(unset)");
        } else if (strncmp(argument, "open:", 5) == 0) {
            try_open(argument + 5);
        } else if (strncmp(argument, "write:", 6) == 0 && strchr(argument + 6, ':')) {
            try_write(argument + 6);
        } else if (strncmp(argument, "serve:", 6) == 0) {
            serve(atoi(argument + 6));
        } else if (strncmp(argument, "resolve:", 8) == 0) {
            resolve(argument + 8);
        } else {
            fprintf(stderr, "cannot do %s\n", argument);
            return 2;
        }
    }
    return 0;
}
