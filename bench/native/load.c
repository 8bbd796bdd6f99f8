/* The load: verified requests over many connections from one thread, stopped by count or by time.
 *
 * Usage: load key=value …
 *   host port     where to
 *   mode          closed  `inflight` requests at a time, in turn over `connections` kept connections, for `seconds`
 *                 fresh   a connection for each request, `inflight` at a time, for `seconds`
 *                 bulk    one answer of `bytes` on each of `connections`
 *                 open    requests at `rate` a second at random (Poisson) times that are fixed beforehand, for `seconds`;
 *                         each is timed from the moment it was due, so a stall counts for all that it delays
 *                 hold    nothing: the connections stay open
 *   idle          further connections, opened and used once, then left alone
 *
 * Kept connections are opened first, and each carries one request. Then "ready" is printed, a line is awaited, the work
 * is done, one line of JSON is printed, and another line (or the end) of standard input is awaited before anything is
 * closed. So whoever starts this can read the proxy's CPU time between the lines. No run outlasts `seconds` + `limit`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

enum { EVENTS = 256, SPREAD = 16, AT_ONCE = 64, TIMER = 0x7fffffff };
enum state { CLOSED, CONNECTING, WAITING, IDLE };

struct conn { int fd; enum state state; long long got; int64_t due; };
struct answer { char request[64], head[256]; int size, headed; long long total; };

static struct { const char *host, *mode; int port, connections, inflight, idle, rate; double seconds, limit; long long bytes; }
    o = {"127.0.0.1", "closed", 0, 0, 1, 0, 1000, 1, 20, 1 << 20};
static struct sockaddr_in target;
static struct conn *conns;
static struct answer kept, closing, bulk, *asked = &kept;
static int set, total, busy, running, errors, fresh;
static long long done, bytes;
static char reason[128];
static unsigned char buffer[SPAN];
static int64_t stop_at, last_done;

static void start_next(int finished);

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void expect(struct answer *a, const char *path, long long length, int closes) {
    a->size = snprintf(a->request, sizeof a->request, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path);
    a->headed = answer_head(a->head, sizeof a->head, length, closes);
    a->total = a->headed + length;
}

static void finish(int i, const char *error) {
    struct conn *c = conns + i;
    if (error && !errors++) snprintf(reason, sizeof reason, "%s after %lld of %lld bytes", error, c->got, asked->total);
    if (error || fresh) { close(c->fd); c->state = CLOSED; } else c->state = IDLE;
    if (!error) { done++; last_done = now(); }
    busy--;
    if (running) start_next(i);
}

static int same(long long at, const unsigned char *data, long long n) {
    if (at + n > asked->total) return 0;
    if (at < asked->headed) {
        long long part = asked->headed - at < n ? asked->headed - at : n;
        if (memcmp(data, asked->head + at, part)) return 0;
        at += part, data += part, n -= part;
    }
    return !n || !memcmp(data, pattern + (at - asked->headed) % PATTERN, n);
}

static void readable(int i) {
    struct conn *c = conns + i;
    for (int turn = 0; turn < 4; turn++) {
        ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) return finish(i, strerror(errno));
        if (!n) return finish(i, c->got == asked->total && fresh ? NULL : "closed");
        if (c->state != WAITING || !same(c->got, buffer, n)) return finish(i, "wrong bytes");
        c->got += n;
        bytes += n;
        if (c->got == asked->total && !fresh) return finish(i, NULL);
        if (n < (ssize_t)sizeof buffer && c->got < asked->total) return;
    }
}

static void ask(int i) {
    struct conn *c = conns + i;
    ssize_t n = send(c->fd, asked->request, asked->size, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN && c->state == CONNECTING) return;
    if (n != asked->size) return finish(i, n < 0 ? strerror(errno) : "short send");
    if (c->state == CONNECTING) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(set, EPOLL_CTL_MOD, c->fd, &e);
    }
    c->state = WAITING;
}

static void dial(int i) {
    struct conn *c = conns + i;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + i % SPREAD)};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.u32 = i};
    int on = 1;
    *c = (struct conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .state = CONNECTING};
    busy++;
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(c->fd, (void *)&from, sizeof from)) return finish(i, strerror(errno));
    if (connect(c->fd, (void *)&target, sizeof target) && errno != EINPROGRESS) return finish(i, strerror(errno));
    epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &e);
}

static void begin(int i) {
    conns[i].got = 0;
    busy++;
    ask(i);
}

/* The open loop: what is due when, who is free, who waits. */
static int64_t *due, *took, *late;
static int planned, next_due, next_sent, timer;

static void plan(void) {
    int room = (int)(o.rate * o.seconds * 1.2) + 100;
    due = malloc(room * sizeof *due), took = malloc(room * sizeof *took), late = malloc(room * sizeof *late);
    srand48(1);
    for (double t = 0; planned < room; planned++) {
        t += -log(1 - drand48()) / o.rate;
        if (t >= o.seconds) break;
        due[planned] = (int64_t)(t * 1e9);
    }
}

static void send_due(void) {
    static int turn;
    int64_t t = now();
    while (next_due < planned && due[next_due] <= t) next_due++;
    for (int tried = 0; next_sent < next_due && tried < o.connections; tried++, turn = (turn + 1) % o.connections) {
        if (conns[turn].state != IDLE) continue;
        conns[turn].due = due[next_sent];
        late[next_sent] = t - due[next_sent];
        next_sent++;
        begin(turn);
        t = now();
    }
    running = next_sent < planned;
    if (next_due < planned) {
        struct itimerspec at = {.it_value = {due[next_due] / 1000000000, due[next_due] % 1000000000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
    }
}

static void start_next(int finished) {
    static int turn;
    if (due) {
        if (conns[finished].state == IDLE) took[done - 1] = last_done - conns[finished].due;
        return;
    }
    if (now() >= stop_at || errors > 100) { running = 0; return; }
    if (fresh) return dial(finished);
    for (int tried = 0; tried < o.connections; tried++) {
        turn = (turn + 1) % o.connections;
        if (conns[turn].state == IDLE) return begin(turn);
    }
}

static void wait_events(void) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(set, events, EVENTS, 100);
    for (int k = 0; k < n; k++) {
        int i = (int)events[k].data.u32;
        if (i == TIMER) { uint64_t ticks; (void)!read(timer, &ticks, sizeof ticks); continue; }
        if (conns[i].state == CONNECTING) {
            int error = 0;
            socklen_t size = sizeof error;
            getsockopt(conns[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error) finish(i, strerror(error)); else ask(i);
        } else if (conns[i].state == WAITING) readable(i);
        else if (conns[i].state == IDLE) { busy++; readable(i); }
    }
}

static int in_time(int64_t limit) {
    if (now() < limit) return 1;
    if (!errors++) snprintf(reason, sizeof reason, "%d answers never came", busy);
    return 0;
}

static void open_all(void) {
    int64_t limit = now() + (int64_t)(o.limit * 1e9);
    for (int i = 0; (i < total || busy) && in_time(limit);) {
        while (i < total && busy < AT_ONCE) dial(i++);
        wait_events();
    }
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static double quantile(int64_t *sorted, long long n, double q) {
    long long i = (long long)ceil(q * n) - 1;
    return n ? sorted[i < 0 ? 0 : i] / 1e3 : 0;
}

static void work(void) {
    int64_t start = now(), limit = start + (int64_t)((o.seconds + o.limit) * 1e9);
    stop_at = start + (int64_t)(o.seconds * 1e9);
    done = bytes = 0;
    running = strcmp(o.mode, "hold") && strcmp(o.mode, "bulk");
    if (!strcmp(o.mode, "closed")) for (int i = 0; i < o.inflight; i++) begin(i);
    else if (!strcmp(o.mode, "fresh")) for (int i = 0; i < o.inflight; i++) dial(i);
    else if (!strcmp(o.mode, "bulk")) for (int i = 0; i < o.connections; i++) begin(i);
    else if (!strcmp(o.mode, "open")) for (int i = 0; i < planned; i++) due[i] += start + 1000000;
    if (due) send_due();
    while ((busy || running) && in_time(limit)) {
        wait_events();
        if (due) send_due();
    }
    printf("{\"done\": %lld, \"bytes\": %lld, \"errors\": %d, \"reason\": \"%s\", \"seconds\": %.6f", done, bytes, errors,
           reason, (last_done - start) / 1e9);
    if (due) {
        qsort(took, done, sizeof *took, by_value);
        qsort(late, next_sent, sizeof *late, by_value);
        printf(", \"planned\": %d, \"late_p99\": %.1f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, "
               "\"max\": %.1f", planned, quantile(late, next_sent, .99), quantile(took, done, .5),
               quantile(took, done, .9), quantile(took, done, .99), quantile(took, done, .999), quantile(took, done, 1));
    }
    printf("}\n");
}

static void option(const char *text) {
    const char *value = strchr(text, '=');
    if (!value++) { fprintf(stderr, "not key=value: %s\n", text); exit(2); }
#define IS(name) !strncmp(text, name "=", sizeof name)
    if (IS("host")) o.host = value;
    else if (IS("mode")) o.mode = value;
    else if (IS("port")) o.port = atoi(value);
    else if (IS("connections")) o.connections = atoi(value);
    else if (IS("inflight")) o.inflight = atoi(value);
    else if (IS("idle")) o.idle = atoi(value);
    else if (IS("rate")) o.rate = atoi(value);
    else if (IS("seconds")) o.seconds = atof(value);
    else if (IS("limit")) o.limit = atof(value);
    else if (IS("bytes")) o.bytes = atoll(value);
    else { fprintf(stderr, "unknown option: %s\n", text); exit(2); }
}

int main(int argc, char **argv) {
    char line[64], path[48];
    for (int i = 1; i < argc; i++) option(argv[i]);
    fresh = !strcmp(o.mode, "fresh");
    if (!fresh && o.inflight > o.connections) o.inflight = o.connections;
    total = fresh ? 0 : o.connections + o.idle;
    conns = calloc((fresh ? o.inflight : total) + 1, sizeof *conns);
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(o.port)};
    inet_pton(AF_INET, o.host, &target.sin_addr);
    make_pattern();
    snprintf(path, sizeof path, "/bulk/%lld", o.bytes);
    expect(&kept, "/small", SMALL, 0), expect(&closing, "/close", SMALL, 1), expect(&bulk, path, o.bytes, 0);
    set = epoll_create1(0);
    if (!strcmp(o.mode, "open")) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = TIMER};
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        epoll_ctl(set, EPOLL_CTL_ADD, timer, &e);
    }
    open_all();
    if (!strcmp(o.mode, "open")) plan();
    if (!strcmp(o.mode, "bulk")) asked = &bulk;
    if (fresh) asked = &closing;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready\n");
    if (!fgets(line, sizeof line, stdin)) return 1;
    work();
    (void)!fgets(line, sizeof line, stdin);
    return 0;
}
