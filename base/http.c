/* SPDX-License-Identifier: Apache-2.0 */
/* Header lists, status texts and addresses: see http.h. Targets and queries are in http_target.c.
 */
#include "base/http.h"

#include <string.h>

#include "base/mem.h"

struct str http_header_get(const struct http_headers *headers, const char *name)
{
    struct str wanted = str_of(name);

    for (size_t i = 0; i < headers->count; i++) {
        if (str_eq_nocase(headers->items[i].name, wanted))
            return headers->items[i].value;
    }
    return STR_NONE;
}

size_t http_header_count(const struct http_headers *headers, const char *name)
{
    struct str wanted = str_of(name);
    size_t count = 0;

    for (size_t i = 0; i < headers->count; i++)
        count += str_eq_nocase(headers->items[i].name, wanted);
    return count;
}

bool http_header_has_token(const struct http_headers *headers, const char *name, const char *token)
{
    struct str wanted = str_of(name);

    for (size_t i = 0; i < headers->count; i++) {
        struct str rest = headers->items[i].value;

        if (!str_eq_nocase(headers->items[i].name, wanted))
            continue;
        while (rest.ptr != NULL) {
            if (str_eq_nocase(str_trim(str_cut(&rest, ',')), str_of(token)))
                return true;
        }
    }
    return false;
}

static const struct {
    int status;
    const char *text;
} status_texts[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {529, "Overloaded"},
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_COUNT(status_texts); i++) {
        if (status_texts[i].status == status)
            return status_texts[i].text;
    }
    return "Unknown";
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool http_header_name_valid(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!is_alnum(c) && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return name.len > 0;
}

bool http_header_value_valid(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

struct str http_bearer_token(const struct http_headers *headers)
{
    struct str rest = http_header_get(headers, "authorization");
    struct str scheme = str_cut(&rest, ' ');

    if (rest.ptr == NULL || !str_eq_nocase(scheme, STR("bearer")))
        return STR_NONE;
    return str_trim(rest);
}

int http_address_parse(struct str text, struct http_address *out, struct err *err)
{
    struct http_address address = {.port = 0};
    struct str host = text;
    struct str port = STR_NONE;
    uint64_t number;

    for (size_t i = text.len; i > 0 && port.ptr == NULL; i--) {
        if (text.ptr[i - 1] == ':') {
            host = str_slice(text, 0, i - 1);
            port = str_slice(text, i, text.len);
        }
    }
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_slice(host, 1, host.len - 1);
    else if (str_find_char(host, ':') >= 0)
        return err_set(err, ERR_INVALID, "address %.*s: write IPv6 as [::1]:8000", STR_ARG(text));
    if (host.len == 0 || host.len >= sizeof(address.host) || memchr(host.ptr, 0, host.len) != NULL)
        return err_set(err, ERR_INVALID, "address %.*s: write host:port", STR_ARG(text));
    if (!str_to_u64(port, &number) || number > UINT16_MAX)
        return err_set(err, ERR_INVALID, "address %.*s: the port must be 0 to 65535",
                       STR_ARG(text));
    memcpy(address.host, host.ptr, host.len);
    address.port = (uint16_t)number;
    *out = address;
    return 0;
}
