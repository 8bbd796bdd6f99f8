/* A backend that costs little: one thread, one epoll set, three answers.
 *
 *   GET /small    a fixed answer; the connection is kept
 *   GET /close    the same, and the connection is closed
 *   GET /bulk/N   N bytes of the pattern; the connection is kept
 *   GET /reset    half an answer, then a reset
 *
 * Usage: backend [PORT]. It listens on every address of the loopback device, so that 127.1.2.3 can be one of ten
 * thousand backends, prints its port, and ends when its standard input does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

enum { REQUEST = 400, EVENTS = 128 };

struct conn {
    int fd, used, head, closes, waits_out;
    long long at, total;
    char request[REQUEST];
    char answer[256];
};

static int set;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void drop(struct conn *c, int reset) {
    struct linger now = {1, 0};
    if (reset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(c->fd);
    free(c);
}

static void want(struct conn *c, int out) {
    struct epoll_event e = {.events = out ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (c->waits_out != out) epoll_ctl(set, EPOLL_CTL_MOD, c->fd, &e);
    c->waits_out = out;
}

/* 1: all sent; 0: the socket is full; -1: the connection is gone */
static int flush(struct conn *c) {
    while (c->at < c->total) {
        struct iovec parts[2];
        struct msghdr message = {.msg_iov = parts};
        long long body = c->at > c->head ? c->at - c->head : 0, left = c->total - c->at;
        if (c->at < c->head) {
            parts[message.msg_iovlen++] = (struct iovec){c->answer + c->at, c->head - c->at};
            left -= c->head - c->at;
        }
        parts[message.msg_iovlen++] = (struct iovec){pattern + body % PATTERN, left < SPAN ? left : SPAN};
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN ? 0 : -1;
        c->at += n;
    }
    return 1;
}

static int answer(struct conn *c) {
    long long length = SMALL;
    int reset = !strncmp(c->request, "GET /reset", 10);
    if (!strncmp(c->request, "GET /bulk/", 10)) length = atoll(c->request + 10);
    c->closes = !strncmp(c->request, "GET /close", 10);
    c->head = answer_head(c->answer, sizeof c->answer, length, c->closes);
    c->at = 0;
    c->total = c->head + length;
    if (reset) c->total /= 2;
    int sent = flush(c);
    return reset ? -2 : sent;
}

/* Answers every whole request that is there; 0 when `c` is gone. */
static int answers(struct conn *c) {
    for (;;) {
        if (c->total > c->at) {
            int sent = flush(c);
            if (sent < 0) return drop(c, 0), 0;
            if (!sent) return want(c, 1), 1;
        }
        if (c->total && c->closes) return drop(c, 0), 0;
        c->total = c->at = 0;
        char *end = memmem(c->request, c->used, "\r\n\r\n", 4);
        if (!end) return want(c, 0), 1;
        int sent = answer(c), whole = end + 4 - c->request;
        if (sent < 0) return drop(c, sent == -2), 0;
        memmove(c->request, c->request + whole, c->used - whole);
        c->used -= whole;
    }
}

static void readable(struct conn *c) {
    ssize_t n = recv(c->fd, c->request + c->used, REQUEST - c->used, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return drop(c, 0);
    c->used += n;
    answers(c);
}

static void accept_some(int door) {
    for (int i = 0; i < 64; i++) {
        int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        struct conn *c = calloc(1, sizeof *c);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (!c) fail("calloc");
        c->fd = fd;
        epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_on(int port) {
    int door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof at;
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(door, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (setsockopt(door, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3)) fail("SO_BINDTODEVICE lo");
    if (bind(door, (void *)&at, sizeof at) || listen(door, 4096)) fail("listen");
    getsockname(door, (void *)&at, &size);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return door;
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS], e = {.events = EPOLLIN};
    char scrap[16];
    make_pattern();
    set = epoll_create1(0);
    int door = listen_on(argc > 1 ? atoi(argv[1]) : 0);
    e.data.ptr = &door;
    epoll_ctl(set, EPOLL_CTL_ADD, door, &e);
    e.data.ptr = scrap;
    if (epoll_ctl(set, EPOLL_CTL_ADD, 0, &e)) fail("standard input must be a pipe");
    for (;;) {
        int n = epoll_wait(set, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            void *what = events[i].data.ptr;
            if (what == &door) accept_some(door);
            else if (what == scrap) { if (read(0, scrap, sizeof scrap) <= 0) return 0; }
            else if (events[i].events & (EPOLLERR | EPOLLHUP)) drop(what, 0);
            else if (events[i].events & EPOLLOUT) answers(what);
            else readable(what);
        }
    }
}
