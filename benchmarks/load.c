/* The load generator: WebSocket clients of a SignalR hub, or HTTP clients, on 127.0.0.1.
 *
 *   load [stateful] MODE ...
 *
 *   load echo    PORT PATH PID CONNECTIONS DEPTH JOINED SECONDS  -> answers, CPU seconds
 *   load post    PORT PATH PID CONNECTIONS SECONDS               -> answers, CPU seconds
 *   load fan-out PORT PATH PID CONNECTIONS EVENTS ROUNDS HUB     -> deliveries, CPU seconds
 *   load stream  PORT PATH PID CONNECTIONS ITEMS                 -> items, CPU seconds
 *   load upload  PORT PATH PID CONNECTIONS ITEMS                 -> items, CPU seconds
 *   load idle    PORT PATH CONNECTIONS                           -> "ready"
 *   load stall   PORT PATH PROTOCOL PAYLOAD                      -> the longest wait in seconds
 *
 * PID is the server's process. Its CPU time, user and system, of all threads, is read directly
 * before and after the measured part. HUB is the port of the hub behind a gateway, or 0 where the
 * server is the hub. `idle` holds its connections until standard input ends.
 * `stall` reads a message from standard input; see the function. An unexpected reply or a closed
 * connection ends the program with a text on standard error and status 1.
 *
 * With `stateful`, the modes from `echo` to `upload` use stateful reconnect on their connections.
 * The measured part then ends when both sides have acknowledged all messages.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 10000, DEPTH = 256, READ = 65536, RECORD = 1024, FLOOD = 2 << 20, CLOSED = 2 };
enum { UNACKNOWLEDGED = 50000 }; /* bytes, half of the buffer that a server has by default */
enum phase { UPGRADING, SHAKING_HANDS, OPEN };

#define ARGUMENT "a text of JSON, forty-five bytes in quotes."
#define EVENT "an event of 60 characters: each goes to every connection ..."

struct connection {
    int fd;
    enum phase phase;
    unsigned char head[10]; /* of the frame that is arriving */
    unsigned head_size;
    uint64_t frame_left;
    char record[RECORD]; /* the part of a record that has arrived; of a long one, its end */
    size_t record_size;
    unsigned replies; /* since the last look; each one holds `expected` */
    unsigned next_id;
    int is_binary;
    int ignores_others; /* instead of failing at an unexpected record */
    /* With stateful reconnect: counted messages, and how many of them have an Ack. */
    unsigned long sent, sent_acknowledged, received, received_acknowledged;
    size_t unacknowledged; /* bytes of the received messages without an Ack */
    double ack_due;
};

static struct connection connections[CONNECTIONS];
static const char *expected = ARGUMENT;
static int epoll, is_stateful;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

/* Ends with the status by which `stall` recognizes that the server has refused a message. */
static void fail_at_close(void) {
    fputs("load: the server closed a connection\n", stderr);
    exit(CLOSED);
}

static double seconds_of(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now)) fail("cannot read a clock: %s", strerror(errno));
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double wall(void) { return seconds_of(CLOCK_MONOTONIC); }

static clockid_t cpu_clock_of(int pid) {
    clockid_t clock;
    int error = clock_getcpuclockid(pid, &clock);
    if (error) fail("no CPU clock of process %d: %s", pid, strerror(error));
    return clock;
}

/* What a client sends: masked frames. */

static size_t put_frame(unsigned char *out, int opcode, const void *payload, size_t size) {
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    const unsigned char *from = payload;
    size_t at = 0;
    int length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    out[at++] = (unsigned char)(0x80 | opcode);
    out[at++] = length_bytes == 0 ? (unsigned char)(0x80 | size) : length_bytes == 2 ? 0xfe : 0xff;
    for (int shift = 8 * (length_bytes - 1); shift >= 0; shift -= 8)
        out[at++] = (unsigned char)((uint64_t)size >> shift);
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < size; i++) out[at + i] = from[i] ^ mask[i & 3];
    return at + size;
}

static void send_all(struct connection *c, const void *data, size_t size) {
    ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL);
    if (sent != (ssize_t)size) fail("cannot send: %s", strerror(errno));
}

static void send_message(struct connection *c, const char *text) {
    unsigned char frame[RECORD];
    send_all(c, frame, put_frame(frame, c->is_binary ? 2 : 1, text, strlen(text)));
}

static void send_counted(struct connection *c, const char *text) {
    c->sent++;
    send_message(c, text);
}

/* Stateful reconnect: both sides count the messages of types 1 to 5. This client acknowledges what
 * it has received after one second, or after UNACKNOWLEDGED bytes. It holds no messages back. */

static void send_ack(struct connection *c) {
    char text[64];
    snprintf(text, sizeof text, "{\"type\":8,\"sequenceId\":%lu}\x1e", c->received);
    send_message(c, text);
    c->received_acknowledged = c->received;
    c->unacknowledged = 0;
    c->ack_due = wall() + 1;
}

static void send_ack_if_due(struct connection *c) {
    if (c->received > c->received_acknowledged &&
        (c->unacknowledged >= UNACKNOWLEDGED || wall() >= c->ack_due))
        send_ack(c);
}

static void count_record(struct connection *c, size_t size) {
    static const char ack[] = "{\"type\":8,\"sequenceId\":";
    if (size >= 9 && c->record[8] >= '1' && c->record[8] <= '5') {
        c->received++;
        c->unacknowledged += size;
    } else if (size > sizeof ack && !memcmp(c->record, ack, sizeof ack - 1)) {
        unsigned long number = strtoul(c->record + sizeof ack - 1, NULL, 10);
        if (number <= c->sent_acknowledged || number > c->sent)
            fail("an Ack of %lu: %lu are sent, %lu acknowledged", number, c->sent,
                 c->sent_acknowledged);
        c->sent_acknowledged = number;
    }
}

/* What a server sends. */

/* A Ping, or with stateful reconnect an Ack. */
static int is_notice(const struct connection *c, size_t size) {
    static const char begin[] = "{\"type\":";
    return size >= 9 && !memcmp(c->record, begin, 8) &&
           (c->record[8] == '6' || (is_stateful && c->record[8] == '8'));
}

static void take_record(struct connection *c) {
    size_t size = c->record_size;
    c->record_size = 0;
    if (is_stateful && c->phase == OPEN) count_record(c, size);
    if (c->phase == SHAKING_HANDS) {
        if (memmem(c->record, size, "error", 5)) fail("handshake: %.*s", (int)size, c->record);
        c->phase = OPEN;
    } else if (memmem(c->record, size, expected, strlen(expected))) {
        c->replies++;
    } else if (!c->ignores_others && !is_notice(c, size)) {
        fail("unexpected: %.*s", (int)size, c->record);
    }
}

static void append(struct connection *c, const char *data, size_t size) {
    if (size > RECORD) {
        data += size - RECORD;
        size = RECORD;
    }
    size_t kept = c->record_size < RECORD - size ? c->record_size : RECORD - size;
    memmove(c->record, c->record + c->record_size - kept, kept);
    memcpy(c->record + kept, data, size);
    c->record_size = kept + size;
}

/* Records of JSON, and the handshake's, end with a separator; of MessagePack, with the frame. */
static void take_payload(struct connection *c, const char *data, size_t size) {
    while (size && (!c->is_binary || c->phase == SHAKING_HANDS)) {
        const char *separator = memchr(data, 0x1e, size);
        if (!separator) break;
        size_t part = (size_t)(separator - data);
        append(c, data, part);
        take_record(c);
        data += part + 1;
        size -= part + 1;
    }
    append(c, data, size);
    if (c->is_binary && c->record_size && !c->frame_left) take_record(c);
}

static void take_frames(struct connection *c, const unsigned char *data, size_t size) {
    while (size) {
        if (c->frame_left) {
            size_t part = size < c->frame_left ? size : (size_t)c->frame_left;
            c->frame_left -= part;
            if ((c->head[0] & 0xf) < 8) take_payload(c, (const char *)data, part);
            data += part;
            size -= part;
            continue;
        }
        c->head[c->head_size++] = *data++;
        size--;
        unsigned length = c->head[1] & 0x7f;
        unsigned wanted = c->head_size < 2 || length < 126 ? 2 : length == 126 ? 4 : 10;
        if (c->head_size < wanted) continue;
        if ((c->head[0] & 0xf) == 8) fail_at_close();
        c->frame_left = wanted > 2 ? 0 : length;
        for (unsigned i = 2; i < wanted; i++) c->frame_left = c->frame_left << 8 | c->head[i];
        c->head_size = 0;
    }
}

static void receive(struct connection *c) {
    static unsigned char data[READ];
    ssize_t size = recv(c->fd, data, sizeof data, 0);
    if (size <= 0) {
        fail_at_close();
    } else if (c->phase == UPGRADING) { /* the response is short and arrives alone */
        append(c, (const char *)data, (size_t)size);
        if (!memmem(c->record, c->record_size, "\r\n\r\n", 4)) return;
        if (memcmp(c->record, "HTTP/1.1 101", 12))
            fail("no upgrade: %.*s", (int)c->record_size, c->record);
        c->record_size = 0;
        c->phase = SHAKING_HANDS;
    } else {
        take_frames(c, data, (size_t)size);
        if (is_stateful) send_ack_if_due(c);
    }
}

static unsigned take_replies(struct connection *c) {
    unsigned replies = c->replies;
    c->replies = 0;
    return replies;
}

static void open_socket(struct connection *c, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        fail("cannot connect: %s", strerror(errno));
}

/* Whether all of a response has arrived. It has the status 200 and holds `wanted`. */
static int receive_response(struct connection *c, const char *wanted) {
    static const char length[] = "Content-Length: ";
    ssize_t got = recv(c->fd, c->record + c->record_size, RECORD - 1 - c->record_size, 0);
    if (got <= 0) fail_at_close();
    c->record_size += (size_t)got;
    c->record[c->record_size] = 0;
    const char *end = strstr(c->record, "\r\n\r\n"), *field = strcasestr(c->record, length);
    if (!end) return 0;
    if (!field || field > end || strncmp(c->record, "HTTP/1.1 200", 12))
        fail("unexpected: %s", c->record);
    if (c->record + c->record_size < end + 4 + atoi(field + sizeof length - 1)) return 0;
    if (!strstr(end, wanted)) fail("unexpected: %s", c->record);
    c->record_size = 0;
    return 1;
}

/* Asks for stateful reconnect, and writes the path of the WebSocket to `target`. */
static void negotiate(int port, const char *path, char *target, size_t target_size) {
    static const char name[] = "\"connectionToken\":\"";
    struct connection c = {0};
    char text[RECORD];
    int size = snprintf(text, sizeof text,
                        "POST %s/negotiate?negotiateVersion=1&useStatefulReconnect=true HTTP/1.1\r\n"
                        "Host: 127.0.0.1\r\nContent-Length: 0\r\n\r\n",
                        path);
    open_socket(&c, port);
    send_all(&c, text, (size_t)size);
    while (!receive_response(&c, "\"useStatefulReconnect\":true")) continue;
    close(c.fd);
    const char *token = strstr(c.record, name);
    if (!token) fail("no connection token: %s", c.record);
    token += sizeof name - 1;
    snprintf(target, target_size, "%s?id=%.*s", path, (int)strcspn(token, "\""), token);
}

static void connect_to(struct connection *c, int port, const char *path, const char *protocol) {
    char text[RECORD], target[RECORD / 2];
    if (is_stateful)
        negotiate(port, path, target, sizeof target);
    else
        snprintf(target, sizeof target, "%s", path);
    c->is_binary = strcmp(protocol, "json") != 0;
    open_socket(c, port);
    int size = snprintf(text, sizeof text,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        target);
    send_all(c, text, (size_t)size);
    while (c->phase == UPGRADING) receive(c);
    snprintf(text, sizeof text, "{\"protocol\":\"%s\",\"version\":%d}\x1e", protocol,
             is_stateful ? 2 : 1);
    send_message(c, text);
    while (c->phase == SHAKING_HANDS) receive(c);
    c->ack_due = wall() + 1;
}

static void watch(struct connection *c) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) fail("epoll: %s", strerror(errno));
}

static void create_epoll(int count) {
    if (count < 1 || count >= CONNECTIONS) fail("%d connections are out of range", count);
    epoll = epoll_create1(EPOLL_CLOEXEC);
}

static void connect_all(int count, int port, const char *path) {
    create_epoll(count);
    for (int i = 0; i < count; i++) {
        connect_to(&connections[i], port, path, "json");
        watch(&connections[i]);
    }
}

static int wait_for(struct epoll_event *events, int most) {
    int count = epoll_wait(epoll, events, most, -1);
    if (count < 0) fail("epoll: %s", strerror(errno));
    return count;
}

/* Acknowledges all messages, and waits until the server has acknowledged all as well. */
static void settle(int count) {
    if (!is_stateful) return;
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        while (c->sent_acknowledged < c->sent) receive(c);
        if (c->received_acknowledged < c->received) send_ack(c);
    }
}

/* Sends `count` calls of Echo, each in a frame of its own or all joined in one. */
static void call(struct connection *c, unsigned count, int joined) {
    static char records[DEPTH * 160];
    static unsigned char frames[DEPTH * 176];
    size_t records_size = 0, frames_size = 0;
    for (unsigned i = 0; i < count; i++) {
        char *record = records + records_size;
        c->next_id = c->next_id % 999 + 1;
        int size = sprintf(record,
                           "{\"type\":1,\"invocationId\":\"%u\",\"target\":\"Echo\","
                           "\"arguments\":[\"" ARGUMENT "\"]}\x1e",
                           c->next_id);
        if (joined)
            records_size += (size_t)size;
        else
            frames_size += put_frame(frames + frames_size, 1, record, (size_t)size);
    }
    if (joined) frames_size = put_frame(frames, 1, records, records_size);
    c->sent += count;
    send_all(c, frames, frames_size);
}

/* Keeps `depth` calls in flight on each connection for `seconds`, then waits for all answers. Makes
 * at least one round of calls. Returns the number of answers. */
static unsigned long echo_for(double seconds, int count, unsigned depth, int joined) {
    struct epoll_event events[256];
    unsigned long sent = 0, answered = 0;
    double deadline = wall() + seconds;
    for (int i = 0; i < count; i++, sent += depth) call(&connections[i], depth, joined);
    while (answered < sent) {
        int ready = wait_for(events, 256);
        int goes_on = wall() < deadline;
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            receive(c);
            unsigned replies = take_replies(c);
            answered += replies;
            if (!goes_on || !replies) continue;
            call(c, replies, joined);
            sent += replies;
        }
    }
    return answered;
}

static void echo(int port, const char *path, int pid, int count, int depth, int joined,
                 double seconds) {
    if (depth < 1 || depth > DEPTH) fail("%d calls in flight are out of range", depth);
    clockid_t clock = cpu_clock_of(pid);
    connect_all(count, port, path);
    echo_for(seconds / 10, count, (unsigned)depth, joined);
    double before = seconds_of(clock);
    unsigned long answers = echo_for(seconds, count, (unsigned)depth, joined);
    settle(count);
    printf("%lu %.9f\n", answers, seconds_of(clock) - before);
}

static void post(struct connection *c, const char *path) {
    static const char body[] = "[\"" ARGUMENT "\"]";
    char text[RECORD];
    int size = snprintf(text, sizeof text,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: load\r\n"
                        "Accept: */*\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        path, sizeof body - 1, body);
    send_all(c, text, (size_t)size);
}

/* As `echo_for`, with one POST in flight on each connection. */
static unsigned long post_for(double seconds, int count, const char *path) {
    struct epoll_event events[256];
    unsigned long sent = 0, answered = 0;
    double deadline = wall() + seconds;
    for (int i = 0; i < count; i++, sent++) post(&connections[i], path);
    while (answered < sent) {
        int ready = wait_for(events, 256);
        int goes_on = wall() < deadline;
        for (int i = 0; i < ready; i++) {
            if (!receive_response(events[i].data.ptr, expected)) continue;
            answered++;
            if (!goes_on) continue;
            post(events[i].data.ptr, path);
            sent++;
        }
    }
    return answered;
}

static void posts(int port, const char *path, int pid, int count, double seconds) {
    clockid_t clock = cpu_clock_of(pid);
    create_epoll(count);
    for (int i = 0; i < count; i++) {
        open_socket(&connections[i], port);
        watch(&connections[i]);
    }
    post_for(seconds / 10, count, path);
    double before = seconds_of(clock);
    unsigned long answers = post_for(seconds, count, path);
    printf("%lu %.9f\n", answers, seconds_of(clock) - before);
}

/* Takes what arrives until there are `total` replies. */
static void take_until(long total) {
    struct epoll_event ready[256];
    for (long received = 0; received < total;) {
        for (int i = wait_for(ready, 256); i > 0; i--) {
            struct connection *c = ready[i - 1].data.ptr;
            receive(c);
            received += take_replies(c);
        }
    }
}

/* In each round one connection calls Broadcast of the hub, which sends `events` events to all
 * connections. The round ends when all have received them. If the server is the hub, the first
 * connection calls Broadcast. Behind a gateway, one more connection calls the hub directly; the
 * events that it receives do not count. */
static void fan_out(int port, const char *path, int pid, int count, int events, int rounds,
                    int hub_port) {
    clockid_t clock = cpu_clock_of(pid);
    struct connection *caller = &connections[hub_port ? count : 0];
    long expected_events = (long)(hub_port ? count + 1 : count) * events;
    double before = 0;
    char text[RECORD];
    snprintf(text, sizeof text,
             "{\"type\":1,\"target\":\"Broadcast\",\"arguments\":[\"" EVENT "\",%d]}\x1e", events);
    expected = EVENT;
    connect_all(count, port, path);
    if (hub_port) {
        connect_to(caller, hub_port, "/hub", "json");
        watch(caller);
    }
    for (int round = -1; round < rounds; round++) { /* the first one warms up */
        if (round == 0) before = seconds_of(clock);
        send_counted(caller, text);
        take_until(expected_events);
    }
    settle(count);
    printf("%ld %.9f\n", (long)count * events * rounds, seconds_of(clock) - before);
}

/* Each connection calls Stream, which answers with `items` stream items. */
static void take_streams(int count, int items) {
    char text[RECORD];
    for (int i = 0; i < count; i++) {
        connections[i].ignores_others = 1; /* the completion after the items */
        snprintf(text, sizeof text,
                 "{\"type\":4,\"invocationId\":\"%u\",\"target\":\"Stream\","
                 "\"arguments\":[\"" ARGUMENT "\",%d]}\x1e",
                 ++connections[i].next_id, items);
        send_counted(&connections[i], text);
    }
    take_until((long)count * items);
}

/* Each connection calls Upload, sends `items` stream items, each in a message of its own, and gets
 * the last one as the answer. */
static void send_streams(int count, int items) {
    enum { BATCH = 64 };
    static unsigned char frames[BATCH * 128];
    char text[RECORD];
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        unsigned id = ++c->next_id;
        snprintf(text, sizeof text,
                 "{\"type\":1,\"invocationId\":\"%u\",\"target\":\"Upload\",\"arguments\":[],"
                 "\"streamIds\":[\"u%u\"]}\x1e",
                 id, id);
        send_counted(c, text);
        int size = snprintf(text, sizeof text,
                            "{\"type\":2,\"invocationId\":\"u%u\",\"item\":\"" ARGUMENT "\"}\x1e",
                            id);
        for (int sent = 0; sent < items;) {
            size_t at = 0;
            for (int batch = 0; batch < BATCH && sent < items; batch++, sent++)
                at += put_frame(frames + at, 1, text, (size_t)size);
            send_all(c, frames, at);
        }
        c->sent += (unsigned long)items;
        snprintf(text, sizeof text, "{\"type\":3,\"invocationId\":\"u%u\"}\x1e", id);
        send_counted(c, text);
    }
    take_until(count);
}

static void streams(int port, const char *path, int pid, int count, int items,
                    void (*play)(int, int)) {
    clockid_t clock = cpu_clock_of(pid);
    connect_all(count, port, path);
    play(count, items / 10 + 1);
    double before = seconds_of(clock);
    play(count, items);
    settle(count);
    printf("%ld %.9f\n", (long)count * items, seconds_of(clock) - before);
}

static void idle(int port, const char *path, int count) {
    char byte;
    connect_all(count, port, path);
    puts("ready");
    fflush(stdout);
    if (read(0, &byte, 1) < 0) fail("standard input: %s", strerror(errno));
}

/* Sends all of `data` and takes what arrives, until there is a reply. */
static void flood(struct connection *c, const unsigned char *data, size_t size) {
    while (!c->replies) {
        struct pollfd ready = {.fd = c->fd, .events = size ? POLLIN | POLLOUT : POLLIN};
        if (poll(&ready, 1, -1) < 0) fail("poll: %s", strerror(errno));
        if (ready.revents & POLLOUT) {
            ssize_t sent = send(c->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN) fail_at_close();
            data += sent < 0 ? 0 : sent;
            size -= sent < 0 ? 0 : (size_t)sent;
        }
        if (ready.revents & ~POLLOUT) receive(c);
    }
}

/* A child process sends standard input on one connection, in messages of `payload` bytes, or in one
 * message if `payload` is 0. The input ends with a call of Echo with ARGUMENT, which the server
 * answers when it has handled all records before it. Meanwhile this process makes one call after the
 * other on a second connection. Prints the longest time that one of these calls took, or nan if the
 * server has closed the first connection. */
static void stall(int port, const char *path, const char *protocol, size_t payload) {
    static unsigned char message[FLOOD], frames[2 * FLOOD];
    struct connection *flooder = &connections[0], *other = &connections[1];
    size_t size = fread(message, 1, sizeof message, stdin);
    if (!size || size == sizeof message) fail("a message of %zu bytes is out of range", size);
    if (!payload) payload = size;
    if (payload < 8) fail("messages of %zu bytes are too small", payload);
    size_t length = 0;
    for (size_t sent = 0; sent < size; sent += payload)
        length += put_frame(frames + length, strcmp(protocol, "json") ? 2 : 1, message + sent,
                            size - sent < payload ? size - sent : payload);
    connect_to(flooder, port, path, protocol);
    connect_to(other, port, path, "json");
    flooder->ignores_others = 1;
    pid_t process = 0;
    double longest = 0;
    for (int is_over = 0, calls = 0; !is_over; calls++) {
        if (calls == 100) { /* the calls before only warm up */
            if ((process = fork()) < 0) fail("fork: %s", strerror(errno));
            if (!process) {
                flood(flooder, frames, length);
                return;
            }
        }
        int status = 0;
        if (process && waitpid(process, &status, WNOHANG)) is_over = 1; /* after one more call */
        if (status && WEXITSTATUS(status) != CLOSED) fail("the client that floods has failed");
        if (status) longest = NAN;
        double called = wall();
        call(other, 1, 0);
        while (!take_replies(other)) receive(other);
        double waited = wall() - called;
        if (process && waited > longest) longest = waited;
    }
    printf("%.9f\n", longest);
}

int main(int count, char **arguments) {
    is_stateful = count > 1 && !strcmp(arguments[1], "stateful");
    count -= is_stateful;
    arguments += is_stateful;
    if (count < 5) fail("too few arguments");
    const char *mode = arguments[1], *path = arguments[3];
    int port = atoi(arguments[2]);
    char **rest = arguments + 4;
    if (!strcmp(mode, "echo") && count == 9)
        echo(port, path, atoi(rest[0]), atoi(rest[1]), atoi(rest[2]), atoi(rest[3]), atof(rest[4]));
    else if (!strcmp(mode, "post") && count == 7)
        posts(port, path, atoi(rest[0]), atoi(rest[1]), atof(rest[2]));
    else if (!strcmp(mode, "fan-out") && count == 9)
        fan_out(port, path, atoi(rest[0]), atoi(rest[1]), atoi(rest[2]), atoi(rest[3]),
                atoi(rest[4]));
    else if (!strcmp(mode, "stream") && count == 7)
        streams(port, path, atoi(rest[0]), atoi(rest[1]), atoi(rest[2]), take_streams);
    else if (!strcmp(mode, "upload") && count == 7)
        streams(port, path, atoi(rest[0]), atoi(rest[1]), atoi(rest[2]), send_streams);
    else if (!strcmp(mode, "idle") && count == 5)
        idle(port, path, atoi(rest[0]));
    else if (!strcmp(mode, "stall") && count == 6)
        stall(port, path, rest[0], (size_t)atoi(rest[1]));
    else
        fail("unknown mode, or not the right number of arguments");
    return 0;
}
