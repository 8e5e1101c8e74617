/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: nothing is accepted that was not signed; claims are read without harm even where the
 * signature is right, for the input is also signed by us as a payload. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz_target.h"
#include "wire/token.h"

static const struct token_key *key(void)
{
    static struct token_key made;
    static bool done;

    if (!done && token_key_make(&made, NULL) < 0)
        abort();
    done = true;
    return &made;
}

/* base64url without padding; `out` has room for size * 2 + 4. */
static size_t encode(const void *bytes, size_t size, char *out)
{
    size_t length = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)size);

    while (length > 0 && out[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    return length;
}

/* Signs header.payload as it is, as only a broken operator would. */
static size_t sign(char *text, size_t length)
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key()->private_key, TOKEN_KEY_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char signature[64];
    size_t size = sizeof(signature);

    if (pkey == NULL || context == NULL ||
        EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) != 1 ||
        EVP_DigestSign(context, signature, &size, (unsigned char *)text, length) != 1)
        abort();
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    text[length++] = '.';
    return length + encode(signature, size, text + length);
}

static void check_signed(const uint8_t *data, size_t size)
{
    static const char header[] = "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}";
    struct token_claims claims;
    char *text;
    size_t length;

    if (size > TOKEN_TEXT_MAX)
        return;
    text = mem_alloc(sizeof(header) * 2 + size * 2 + 256);
    if (text == NULL)
        abort();
    length = encode(header, sizeof(header) - 1, text);
    text[length++] = '.';
    length += encode(data, size, text + length);
    length = sign(text, length);
    if (token_verify(&claims, (struct str){text, length}, key()->public_key, "agent", 1500, NULL) ==
        0) {
        if (strcmp(claims.audience, "agent") != 0 ||
            memchr(claims.subject, 0, sizeof(claims.subject)) == NULL || claims.expires_s < 1440)
            abort();
    }
    mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token_claims claims;

    if (token_verify(&claims, (struct str){(const char *)data, size}, key()->public_key, "agent",
                     1500, NULL) == 0)
        abort(); /* a key made just now signed nothing */
    check_signed(data, size);
    return 0;
}
