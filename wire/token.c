/* SPDX-License-Identifier: Apache-2.0 */
/* Internal tokens: see token.h. The header is one fixed text, so that no other algorithm can be
 * asked for; Ed25519 is OpenSSL's. */
#include "wire/token.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

#define TOKEN_HEADER "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}"
#define TOKEN_ISSUER "spate"

enum {
    TOKEN_SIGNATURE_BYTES = 64,
    TOKEN_KEY_HEX_LEN = 2 * TOKEN_KEY_BYTES,
    TOKEN_FILE_BYTES_MAX = 128
};

static void pkey_freep(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void md_freep(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static int fill_public(struct token_key *key, struct err *err)
{
    size_t size = sizeof(key->public_key);
    CLEANUP(pkey_freep) EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(
        EVP_PKEY_ED25519, NULL, key->private_key, sizeof(key->private_key));

    if (pkey == NULL || EVP_PKEY_get_raw_public_key(pkey, key->public_key, &size) != 1)
        return err_set(err, ERR_INTERNAL, "cannot make an Ed25519 key");
    return 0;
}

int token_key_make(struct token_key *out, struct err *err)
{
    struct token_key key;
    int r;

    rng_fill(rng_system(), key.private_key, sizeof(key.private_key));
    r = fill_public(&key, err);
    if (r == 0)
        *out = key;
    return r;
}

int token_key_read(struct token_key *out, struct str hex, struct err *err)
{
    struct token_key key;
    int r;

    if (!hex_parse(str_trim(hex), key.private_key, TOKEN_KEY_BYTES))
        return err_set(err, ERR_CORRUPT, "the key must have %d hex digits", TOKEN_KEY_HEX_LEN);
    r = fill_public(&key, err);
    if (r == 0)
        *out = key;
    return r;
}

static int load_hex(uint8_t out[TOKEN_KEY_BYTES], const char *path, struct err *err)
{
    struct buf text;
    int r;

    buf_init(&text, TOKEN_FILE_BYTES_MAX);
    r = file_read(path, &text, err);
    if (r == 0 && !hex_parse(str_trim(buf_str(&text)), out, TOKEN_KEY_BYTES))
        r = err_set(err, ERR_CORRUPT, "%s must hold %d hex digits", path, TOKEN_KEY_HEX_LEN);
    if (text.ptr != NULL)
        memset(text.ptr, 0, text.len);
    buf_fini(&text);
    return r;
}

int token_key_load_or_make(struct token_key *out, const char *path, struct err *err)
{
    struct token_key key;
    char text[TOKEN_KEY_HEX_LEN + 2];
    int r;

    if (file_exists(path)) {
        r = load_hex(key.private_key, path, err);
        if (r == 0)
            r = fill_public(&key, err);
    } else {
        r = token_key_make(&key, err);
        if (r < 0)
            return r;
        hex_format(key.private_key, TOKEN_KEY_BYTES, text);
        memcpy(text + TOKEN_KEY_HEX_LEN, "\n", 2);
        r = file_write_atomic(path, str_of(text), 0600, err);
    }
    if (r == 0)
        *out = key;
    return r;
}

int token_public_load(uint8_t out[TOKEN_KEY_BYTES], const char *path, struct err *err)
{
    return load_hex(out, path, err);
}

static int append_claims(struct buf *out, const struct token_claims *claims)
{
    struct buf json;
    struct json_writer w;
    int r;

    buf_init(&json, TOKEN_TEXT_MAX);
    json_writer_init(&w, &json);
    json_open(&w, '{');
    json_put_text(&w, "iss", TOKEN_ISSUER);
    json_put_text(&w, "aud", claims->audience);
    json_put_text(&w, "sub", claims->subject);
    json_put_i64(&w, "iat", claims->issued_s);
    json_put_i64(&w, "exp", claims->expires_s);
    json_close(&w, '}');
    r = json.failed ? -ERR_LIMIT : base64url_append(out, json.ptr, json.len);
    buf_fini(&json);
    return r;
}

int token_sign(struct buf *out, const struct token_key *key, const struct token_claims *claims,
               struct err *err)
{
    size_t start = out->len;
    uint8_t signature[TOKEN_SIGNATURE_BYTES];
    size_t size = sizeof(signature);
    CLEANUP(md_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
    CLEANUP(pkey_freep) EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(
        EVP_PKEY_ED25519, NULL, key->private_key, sizeof(key->private_key));

    if (base64url_append(out, TOKEN_HEADER, sizeof(TOKEN_HEADER) - 1) < 0 ||
        buf_append_char(out, '.') < 0 || append_claims(out, claims) < 0)
        return err_set(err, ERR_LIMIT, "a token does not fit its buffer");
    if (context == NULL || pkey == NULL ||
        EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) != 1 ||
        EVP_DigestSign(context, signature, &size, (const unsigned char *)out->ptr + start,
                       out->len - start) != 1)
        return err_set(err, ERR_INTERNAL, "cannot sign a token");
    if (buf_append_char(out, '.') < 0 || base64url_append(out, signature, size) < 0)
        return err_set(err, ERR_LIMIT, "a token does not fit its buffer");
    return 0;
}

static bool signature_holds(struct str signed_part, struct str signature,
                            const uint8_t public_key[TOKEN_KEY_BYTES])
{
    CLEANUP(md_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
    CLEANUP(pkey_freep) EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, TOKEN_KEY_BYTES);

    return context != NULL && pkey != NULL && signature.len == TOKEN_SIGNATURE_BYTES &&
           EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1 &&
           EVP_DigestVerify(context, (const unsigned char *)signature.ptr, signature.len,
                            (const unsigned char *)signed_part.ptr, signed_part.len) == 1;
}

static bool copy_claim(const json_t *tree, const char *key, char *out, size_t size)
{
    struct str text = json_str(json_object_get(tree, key));

    if (text.ptr == NULL || text.len >= size)
        return false;
    memset(out, 0, size);
    memcpy(out, text.ptr, text.len);
    return true;
}

static int check_claims(struct token_claims *out, const json_t *tree, const char *audience,
                        int64_t now_s, struct err *err)
{
    struct token_claims claims = {0};

    if (!str_is(json_str(json_object_get(tree, "iss")), TOKEN_ISSUER) ||
        !copy_claim(tree, "aud", claims.audience, sizeof(claims.audience)) ||
        !copy_claim(tree, "sub", claims.subject, sizeof(claims.subject)) ||
        json_get_i64(tree, "iat", true, 0, INT64_MAX, &claims.issued_s, NULL) < 0 ||
        json_get_i64(tree, "exp", true, 0, INT64_MAX, &claims.expires_s, NULL) < 0)
        return err_set(err, ERR_DENIED, "the token lacks a claim");
    if (strcmp(claims.audience, audience) != 0)
        return err_set(err, ERR_DENIED, "the token is for another audience than '%s'", audience);
    if (claims.issued_s > now_s + TOKEN_SKEW_S)
        return err_set(err, ERR_DENIED, "the token is from the future: check the clocks");
    if (claims.expires_s < now_s - TOKEN_SKEW_S)
        return err_set(err, ERR_DENIED, "the token has expired: its holder must renew it");
    *out = claims;
    return 0;
}

static int verify_parts(struct token_claims *out, struct str text, struct buf *payload,
                        struct buf *signature, const uint8_t public_key[TOKEN_KEY_BYTES],
                        const char *audience, int64_t now_s, struct err *err)
{
    static const struct json_limits limits = {.max_bytes = TOKEN_TEXT_MAX, .max_depth = 2};
    json_auto_t *tree = NULL;
    struct str rest = text;
    struct str header = str_cut(&rest, '.');
    struct str claims = str_cut(&rest, '.');
    struct str signed_part = {text.ptr, header.len + 1 + claims.len};
    struct buf expected;
    bool header_ok;

    if (rest.ptr == NULL)
        return err_set(err, ERR_DENIED, "the token is not of three parts");
    buf_init(&expected, TOKEN_TEXT_MAX);
    header_ok = base64url_append(&expected, TOKEN_HEADER, sizeof(TOKEN_HEADER) - 1) == 0 &&
                str_eq(header, buf_str(&expected));
    buf_fini(&expected);
    if (!header_ok)
        return err_set(err, ERR_DENIED, "the token is of another kind than EdDSA JWT");
    if (base64url_decode(signature, rest, NULL) < 0 || base64url_decode(payload, claims, NULL) < 0)
        return err_set(err, ERR_DENIED, "the token is not base64url");
    if (!signature_holds(signed_part, buf_str(signature), public_key))
        return err_set(err, ERR_DENIED, "the token's signature does not hold");
    if (json_read(&tree, buf_str(payload), &limits, "token", NULL) < 0)
        return err_set(err, ERR_DENIED, "the token's claims are not JSON");
    return check_claims(out, tree, audience, now_s, err);
}

int token_verify(struct token_claims *out, struct str text,
                 const uint8_t public_key[TOKEN_KEY_BYTES], const char *audience, int64_t now_s,
                 struct err *err)
{
    struct buf payload;
    struct buf signature;
    int r;

    if (text.len > TOKEN_TEXT_MAX)
        return err_set(err, ERR_DENIED, "the token is too long");
    buf_init(&payload, TOKEN_TEXT_MAX);
    buf_init(&signature, TOKEN_TEXT_MAX);
    r = verify_parts(out, text, &payload, &signature, public_key, audience, now_s, err);
    buf_fini(&payload);
    buf_fini(&signature);
    return r;
}
