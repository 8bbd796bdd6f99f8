/* What backend.c and load.c agree on: the requests, and every byte of the answers.
 *
 * Answers are checked byte for byte against a pseudo-random pattern whose length is prime, so that bytes that are lost,
 * doubled, swapped or of another stream are found wherever they are: no hash could find more.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SMALL 128
#define PATTERN 1000003
#define SPAN (1 << 18)

static unsigned char pattern[PATTERN + SPAN];

static void make_pattern(void) {
    uint64_t x = 88172645463325252ull;
    for (int i = 0; i < PATTERN; i++) {
        x ^= x << 13; x ^= x >> 7; x ^= x << 17;
        pattern[i] = (unsigned char)(x >> 32);
    }
    memcpy(pattern + PATTERN, pattern, SPAN);
}

static int answer_head(char *to, size_t room, long long length, int closes) {
    return snprintf(to, room, "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/octet-stream\r\n"
                    "Content-Length: %lld\r\nConnection: %s\r\n\r\n", length, closes ? "close" : "keep-alive");
}
