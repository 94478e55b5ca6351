/* A room without rules or storage: epoll, one thread, one send() for each delivery.  csend PORT FOLDER
 *
 * It knows just enough of RFC 6455 for the benchmark: frames under 64 KiB, unfragmented, from a client it trusts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PEOPLE 65536
#define MAX_ROOMS 65536
#define BUFFER 65536

struct person { int fd, is_open; size_t held; char buffer[BUFFER]; };
struct room { int count, *members; };

static struct person *by_fd[MAX_PEOPLE * 2];
static int fd_of[MAX_PEOPLE], person_of[MAX_PEOPLE * 2];
static struct room rooms[MAX_ROOMS];
static long messages;

static uint32_t rol(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1(const unsigned char *data, size_t size, unsigned char out[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}, w[80];
    unsigned char padded[128] = {0};
    size_t whole = size + 9 <= 64 ? 64 : 128;
    memcpy(padded, data, size);
    padded[size] = 0x80;
    padded[whole - 2] = size * 8 >> 8;
    padded[whole - 1] = size * 8;
    for (unsigned char *block = padded; block < padded + whole; block += 64) {
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)block[i * 4] << 24 | block[i * 4 + 1] << 16 | block[i * 4 + 2] << 8 | block[i * 4 + 3];
        for (int i = 16; i < 80; i++) w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 || i >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t t = rol(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rol(b, 30), b = a, a = t;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = h[i / 4] >> (24 - i % 4 * 8);
}

static void base64(const unsigned char in[20], char *out)
{
    const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char padded[21] = {0};
    memcpy(padded, in, 20);
    for (int i = 0; i < 21; i += 3) {
        uint32_t three = padded[i] << 16 | padded[i + 1] << 8 | padded[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) *out++ = digits[three >> shift & 63];
    }
    out[-1] = '=';
    *out = 0;
}

/* Waits where the socket's buffer is full: what is measured is the call, not what keeps a backlog. */
static void send_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) return;
        if (sent > 0) data += sent, size -= sent;
    }
}

/* Puts a text frame's header before the text, which begins at frame + 4; returns where the frame begins. */
static char *framed(char *frame, size_t size)
{
    if (size < 126) {
        frame[2] = (char)0x81, frame[3] = size;
        return frame + 2;
    }
    frame[0] = (char)0x81, frame[1] = 126, frame[2] = size >> 8, frame[3] = size;
    return frame;
}

static void shake_hands(struct person *p, char *head)
{
    char *key = strcasestr(head, "sec-websocket-key:"), *name = strstr(head, "person="), text[128], answer[256];
    unsigned char digest[20];
    if (!key || !name) exit(1);
    for (key += 18; *key == ' '; key++) ;
    int size = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1((unsigned char *)text, size, digest);
    base64(digest, text);
    size = snprintf(answer, sizeof answer,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n\x81\x10{\"type\":\"hello\"}", text);
    person_of[p->fd] = atoi(name + 7);
    fd_of[person_of[p->fd]] = p->fd;
    p->is_open = 1;
    send_all(p->fd, answer, size);
}

/* The string or number of a JSON object's field, as it stands there. */
static int field(const char *json, const char *name, const char **value)
{
    const char *at = strstr(json, name);
    if (!at) exit(1);
    *value = at + strlen(name);
    return strcspn(*value, "\",}");
}

static void tell(struct person *p, const char *json)
{
    char event[2048], ack[2048], *frame;
    const char *temp_id, *number, *text;
    int temp_size = field(json, "\"temp_id\":\"", &temp_id);
    field(json, "\"conversation_id\":", &number);
    const char *at = strstr(json, "\"text\":\"");
    if (!at) exit(1);
    text = at + 8;
    int conversation = atoi(number), text_size = strcspn(text, "\""), me = person_of[p->fd];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long id = ++messages, ms = now.tv_sec * 1000L + now.tv_nsec / 1000000;
    int size = snprintf(event + 4, sizeof event - 4,
        "{\"type\":\"new_message\",\"event_id\":%ld,\"conversation_id\":%d,\"message\":{\"id\":%ld,\"conversation_id\":%d,"
        "\"seq\":%ld,\"sender_id\":%d,\"text\":\"%.*s\",\"attachments\":[],\"created_at\":%ld}}",
        id, conversation, id, conversation, id, me, text_size, text, ms);
    frame = framed(event, size);
    size += event + 4 - frame;
    for (int i = 0; i < rooms[conversation].count; i++) {
        int member = rooms[conversation].members[i];
        if (member != me && fd_of[member]) send_all(fd_of[member], frame, size);
    }
    size = snprintf(ack + 4, sizeof ack - 4,
        "{\"type\":\"message_sent\",\"temp_id\":\"%.*s\",\"event_id\":%ld,\"message\":{\"id\":%ld,\"conversation_id\":%d,"
        "\"seq\":%ld,\"sender_id\":%d,\"text\":\"%.*s\",\"attachments\":[],\"created_at\":%ld,\"temp_id\":\"%.*s\"}}",
        temp_size, temp_id, id, id, conversation, id, me, text_size, text, ms, temp_size, temp_id);
    frame = framed(ack, size);
    send_all(p->fd, frame, size + (ack + 4 - frame));
}

/* Takes the frame at the buffer's `at`; where it ends, or 0 while it is not whole. */
static size_t take(struct person *p, size_t at)
{
    unsigned char *data = (unsigned char *)p->buffer + at;
    size_t there = p->held - at, begin = 6;
    if (there < 8) return 0;
    size_t size = data[1] & 0x7F;
    if (size == 126) begin = 8, size = data[2] << 8 | data[3];
    if (there < begin + size) return 0;
    for (size_t i = 0; i < size; i++) data[begin + i] ^= data[begin - 4 + i % 4];
    if ((data[0] & 0xF) == 1) {
        unsigned char after = data[begin + size];
        data[begin + size] = 0;
        tell(p, (char *)data + begin);
        data[begin + size] = after;
    }
    return at + begin + size;
}

static int receive(struct person *p)
{
    ssize_t got = recv(p->fd, p->buffer + p->held, BUFFER - 1 - p->held, 0);
    if (got <= 0) return 0;
    p->held += got;
    size_t at = 0, next;
    if (!p->is_open) {
        p->buffer[p->held] = 0;
        char *end = strstr(p->buffer, "\r\n\r\n");
        if (!end) return 1;
        shake_hands(p, p->buffer);
        at = end + 4 - p->buffer;
    }
    while ((next = take(p, at))) at = next;
    memmove(p->buffer, p->buffer + at, p->held -= at);
    return 1;
}

static void read_rooms(const char *folder)
{
    char path[4096], *line = NULL;
    size_t room = 0, size = 0;
    snprintf(path, sizeof path, "%s/rooms.txt", folder);
    FILE *file = fopen(path, "r");
    while (file && ++room < MAX_ROOMS && getline(&line, &size, file) > 0)
        for (char *at = strtok(line, " \n"); at; at = strtok(NULL, " \n")) {
            struct room *r = &rooms[room];
            if (r->count % 64 == 0) r->members = realloc(r->members, (r->count + 64) * sizeof(int));
            r->members[r->count++] = atoi(at);
        }
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    read_rooms(argv[2]);
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0), on = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 1024)) return perror("listen"), 1;
    struct epoll_event asked = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &asked);
    for (;;) {
        int count = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                asked.data.fd = fd = accept(listener, NULL, NULL);
                if (fd < 0 || fd >= MAX_PEOPLE * 2) return perror("accept"), 1;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                by_fd[fd] = calloc(1, sizeof(struct person));
                by_fd[fd]->fd = fd;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &asked);
            } else if (!receive(by_fd[fd])) {
                if (by_fd[fd]->is_open) fd_of[person_of[fd]] = 0;
                free(by_fd[fd]);
                close(fd);
            }
        }
    }
}
