/* SPDX-License-Identifier: Apache-2.0 */
/* Digests and encodings: see hash.h. SHA-256 is OpenSSL's; CRC-32C uses the processor's instruction
 * where there is one, else a table of our own making. */
#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <string.h>

void sha256(struct str data, uint8_t out[SHA256_BYTES])
{
    SHA256((const unsigned char *)(data.ptr == NULL ? "" : data.ptr), data.len, out);
}

void sha256_hex(struct str data, char out[SHA256_HEX_LEN + 1])
{
    uint8_t digest[SHA256_BYTES];

    sha256(data, digest);
    hex_format(digest, sizeof(digest), out);
}

/* Slicing by 8: table[k][b] is the checksum of byte b followed by k zero bytes. */
static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_make_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;

        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
        crc_table[0][b] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (int b = 0; b < 256; b++) {
            uint32_t before = crc_table[k - 1][b];

            crc_table[k][b] = before >> 8 ^ crc_table[0][before & 0xff];
        }
    }
}

uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *at = data;

    pthread_once(&crc_once, crc_make_table);
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        uint32_t low;
        uint32_t high;

        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= crc;
        crc = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff] ^
              crc_table[5][low >> 16 & 0xff] ^ crc_table[4][low >> 24] ^ crc_table[3][high & 0xff] ^
              crc_table[2][high >> 8 & 0xff] ^ crc_table[1][high >> 16 & 0xff] ^
              crc_table[0][high >> 24];
    }
    for (; size > 0; size--, at++)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_by_instruction(uint32_t crc, const unsigned char *at, size_t size)
{
    uint64_t sum = ~crc;

    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; size > 0; size--, at++)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *at);
    return ~(uint32_t)sum;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_by_instruction(crc, data, size);
    return crc32c_by_table(crc, data, size);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    return crc32c_by_table(crc, data, size);
}
#endif

uint64_t hash64(uint64_t seed, const void *data, size_t size)
{
    const unsigned char *at = data;
    uint64_t h = 0xcbf29ce484222325U ^ seed * 0x9e3779b97f4a7c15U;

    for (size_t i = 0; i < size; i++)
        h = (h ^ at[i]) * 0x100000001b3U;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdU;
    return h ^ h >> 33;
}

bool bytes_equal_secret(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

void hex_format(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * size] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool hex_parse(struct str text, uint8_t *out, size_t size)
{
    if (text.len != size * 2)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_value(text.ptr[2 * i]);
        int low = hex_value(text.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static const char base64_alphabet[65] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int base64url_append(struct buf *out, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i < 3 ? size - i : 3;
        uint32_t group = (uint32_t)at[i] << 16;

        if (left > 1)
            group |= (uint32_t)at[i + 1] << 8;
        if (left > 2)
            group |= at[i + 2];
        for (size_t k = 0; k <= left; k++) {
            int r = buf_append_char(out, base64_alphabet[group >> (18 - 6 * k) & 63]);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

int base64url_decode(struct buf *out, struct str text, struct err *err)
{
    uint32_t group = 0;
    int bits = 0;

    if (text.len % 4 == 1)
        return err_set(err, ERR_SYNTAX, "base64url text has an impossible length of %zu", text.len);
    for (size_t i = 0; i < text.len; i++) {
        const char *hit = memchr(base64_alphabet, text.ptr[i], 64);

        if (hit == NULL)
            return err_set(err, ERR_SYNTAX, "character %zu is not base64url", i);
        group = group << 6 | (uint32_t)(hit - base64_alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (buf_append_char(out, (char)(group >> bits)) < 0)
                return buf_check(out, "decoded text", err);
        }
    }
    if ((group & ((1U << bits) - 1)) != 0)
        return err_set(err, ERR_SYNTAX, "base64url text has bits after its end");
    return 0;
}
