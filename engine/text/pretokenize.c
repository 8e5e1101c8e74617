/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patterns by hand: see pretokenize.h. A matcher looks at text[at .. end) and returns the end
 * of the match that begins at `at`, or `at` when none does. The alternatives of each pattern are
 * tried in the order in which the regular expression has them; each matcher looks at every byte a
 * bounded number of times.
 */
#include "engine/text/pretokenize.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/unicode.h"

enum {
    LETTER_OR_NUMBER = UNICODE_LETTER | UNICODE_NUMBER,
    WORD_PART = UNICODE_LETTER | UNICODE_MARK,
    PUNCT_OR_SYMBOL = UNICODE_PUNCT | UNICODE_SYMBOL,
    PATTERN_BYTES_MAX = 512,
};

struct view {
    const char *text;
    size_t end;
};

typedef size_t (*matcher)(const struct view *v, size_t at);

/* End of the longest run of characters that have one of the classes; `max` characters at most. */
static size_t run_of(const struct view *v, size_t at, unsigned classes, int max)
{
    for (int i = 0; at < v->end && i < max; i++) {
        size_t next;

        if ((unicode_class(unicode_at(v->text, at, &next)) & classes) == 0)
            break;
        at = next;
    }
    return at;
}

/* The same for characters that have none of them. */
static size_t run_without(const struct view *v, size_t at, unsigned classes)
{
    while (at < v->end) {
        size_t next;

        if ((unicode_class(unicode_at(v->text, at, &next)) & classes) != 0)
            break;
        at = next;
    }
    return at;
}

static bool is_line_break(uint32_t c)
{
    return c == '\r' || c == '\n';
}

static size_t run_of_line_breaks(const struct view *v, size_t at)
{
    while (at < v->end && is_line_break((unsigned char)v->text[at]))
        at++;
    return at;
}

/* 's 't 're 've 'm 'll 'd; with `any_case` also U+017F, which folds to s. */
static size_t match_contraction(const struct view *v, size_t at, bool any_case)
{
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    struct str rest;

    if (v->text[at] != '\'')
        return at;
    rest = (struct str){v->text + at + 1, v->end - at - 1};
    for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
        struct str ending = str_of(endings[i]);
        struct str begin = str_slice(rest, 0, ending.len);

        if (any_case ? str_eq_nocase(begin, ending) : str_eq(begin, ending))
            return at + 1 + ending.len;
    }
    if (any_case && str_starts(rest, STR("\xc5\xbf")))
        return at + 3;
    return at;
}

/* \s+(?!\S)|\s+ */
static size_t match_spaces(const struct view *v, size_t at)
{
    size_t last = at; /* where the last space begins */
    size_t end = at;

    while (end < v->end) {
        size_t next;

        if ((unicode_class(unicode_at(v->text, end, &next)) & UNICODE_SPACE) == 0)
            break;
        last = end;
        end = next;
    }
    /* The last space of several is left to the word that follows. */
    return end < v->end && last > at ? last : end;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t match_spaces_by_line(const struct view *v, size_t at)
{
    size_t after_break = at;
    size_t i = at;

    while (i < v->end) {
        size_t next;
        uint32_t c = unicode_at(v->text, i, &next);

        if ((unicode_class(c) & UNICODE_SPACE) == 0)
            break;
        if (is_line_break(c))
            after_break = next;
        i = next;
    }
    return after_break > at ? after_break : match_spaces(v, at);
}

/* " ?[classes]+": the end of the run, or `at`. */
static size_t match_with_space(const struct view *v, size_t at, unsigned classes)
{
    size_t from = v->text[at] == ' ' ? at + 1 : at;
    size_t end = run_of(v, from, classes, INT32_MAX);

    return end > from ? end : at;
}

/* " ?[^\s\p{L}\p{N}]+" */
static size_t match_other(const struct view *v, size_t at)
{
    size_t from = v->text[at] == ' ' ? at + 1 : at;
    size_t end = run_without(v, from, UNICODE_SPACE | LETTER_OR_NUMBER);

    return end > from ? end : at;
}

static size_t match_gpt2(const struct view *v, size_t at)
{
    size_t end = match_contraction(v, at, false);

    if (end == at)
        end = match_with_space(v, at, UNICODE_LETTER);
    if (end == at)
        end = match_with_space(v, at, UNICODE_NUMBER);
    if (end == at)
        end = match_other(v, at);
    if (end == at)
        end = match_spaces(v, at);
    return end;
}

/* "[^\r\n EXCLUDED]?[CLASSES]+" */
static size_t match_word(const struct view *v, size_t at, unsigned excluded, unsigned classes)
{
    size_t next;
    uint32_t c = unicode_at(v->text, at, &next);
    size_t end;

    if (!is_line_break(c) && (unicode_class(c) & excluded) == 0) {
        end = run_of(v, next, classes, INT32_MAX);
        if (end > next)
            return end;
    }
    return run_of(v, at, classes, INT32_MAX);
}

static size_t match_llama3_or_qwen2(const struct view *v, size_t at, int digits)
{
    size_t end = match_contraction(v, at, true);

    if (end == at)
        end = match_word(v, at, LETTER_OR_NUMBER, UNICODE_LETTER);
    if (end == at)
        end = run_of(v, at, UNICODE_NUMBER, digits);
    if (end == at) {
        end = match_other(v, at);
        if (end > at)
            end = run_of_line_breaks(v, end);
    }
    if (end == at)
        end = match_spaces_by_line(v, at);
    return end;
}

static size_t match_llama3(const struct view *v, size_t at)
{
    return match_llama3_or_qwen2(v, at, 3);
}

static size_t match_qwen2(const struct view *v, size_t at)
{
    return match_llama3_or_qwen2(v, at, 1);
}

static size_t match_digit(const struct view *v, size_t at)
{
    return run_of(v, at, UNICODE_NUMBER, 1);
}

static size_t match_digits3(const struct view *v, size_t at)
{
    return run_of(v, at, UNICODE_NUMBER, 3);
}

/* Han, Hiragana, Katakana, as DeepSeek's pattern lists them. */
static size_t match_cjk(const struct view *v, size_t at)
{
    while (at < v->end) {
        size_t next;
        uint32_t c = unicode_at(v->text, at, &next);

        if (!(c >= 0x4e00 && c <= 0x9fa5) && !(c >= 0x3040 && c <= 0x30ff))
            break;
        at = next;
    }
    return at;
}

static bool is_ascii_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* One ASCII punctuation mark or symbol, then ASCII letters. */
static size_t match_punct_and_letters(const struct view *v, size_t at)
{
    size_t end = at + 1;

    if ((unsigned char)v->text[at] >= 0x80 ||
        (unicode_class((unsigned char)v->text[at]) & PUNCT_OR_SYMBOL) == 0)
        return at;
    while (end < v->end && is_ascii_letter(v->text[end]))
        end++;
    return end > at + 1 ? end : at;
}

static size_t match_deepseek(const struct view *v, size_t at)
{
    size_t end = match_punct_and_letters(v, at);

    if (end == at)
        end = match_word(v, at, UNICODE_LETTER | PUNCT_OR_SYMBOL, WORD_PART);
    if (end == at) {
        end = match_with_space(v, at, PUNCT_OR_SYMBOL);
        if (end > at)
            end = run_of_line_breaks(v, end);
    }
    if (end == at)
        end = match_spaces_by_line(v, at);
    return end;
}

static const matcher matchers[PRETOKEN_STAGE_COUNT] = {
    [PRETOKEN_GPT2] = match_gpt2,         [PRETOKEN_LLAMA3] = match_llama3,
    [PRETOKEN_QWEN2] = match_qwen2,       [PRETOKEN_DIGIT] = match_digit,
    [PRETOKEN_DIGITS3] = match_digits3,   [PRETOKEN_CJK] = match_cjk,
    [PRETOKEN_DEEPSEEK] = match_deepseek,
};

/* Cuts by the stages from `stage` on; the recursion is as deep as there are stages. */
static int cut(const struct pretokenizer *p, int stage, struct str text, pretoken_fn emit,
               void *context)
{
    struct view v = {text.ptr, text.len};
    size_t gap = 0; /* what lies before `at` and matched nothing */
    size_t at = 0;
    int r = 0;

    if (stage == p->stage_count)
        return text.len == 0 ? 0 : emit(context, text);
    while (at < text.len && r >= 0) {
        size_t end = matchers[p->stages[stage]](&v, at);

        if (end == at) {
            (void)unicode_at(text.ptr, at, &at);
            continue;
        }
        if (gap < at)
            r = cut(p, stage + 1, str_slice(text, gap, at), emit, context);
        if (r >= 0)
            r = cut(p, stage + 1, str_slice(text, at, end), emit, context);
        gap = at = end;
    }
    if (r >= 0 && gap < text.len)
        r = cut(p, stage + 1, str_slice(text, gap, text.len), emit, context);
    return r;
}

int pretokenize(const struct pretokenizer *p, struct str text, pretoken_fn emit, void *context)
{
    return cut(p, 0, text, emit, context);
}

#define AFTER_CONTRACTIONS(numbers)           \
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" numbers \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"

/* As they stand in tokenizer.json files, line breaks written as \r and \n. */
static const struct {
    enum pretoken_stage stage;
    const char *pattern;
} patterns[] = {
    {PRETOKEN_QWEN2, "(?i:" CONTRACTIONS ")" AFTER_CONTRACTIONS("\\p{N}")},
    {PRETOKEN_LLAMA3, "(?i:" CONTRACTIONS ")" AFTER_CONTRACTIONS("\\p{N}{1,3}")},
    {PRETOKEN_GPT2, CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {PRETOKEN_DIGIT, "\\p{N}"},
    {PRETOKEN_DIGITS3, "\\p{N}{1,3}"},
    {PRETOKEN_CJK, "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"},
    {PRETOKEN_DEEPSEEK, "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
                        "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|"
                        "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
};

int pretoken_stage_of_pattern(struct str pattern)
{
    char text[PATTERN_BYTES_MAX];
    size_t length = 0;

    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.ptr[i];

        if (length + 2 > sizeof(text))
            return -1;
        if (is_line_break((unsigned char)c)) {
            text[length++] = '\\';
            c = c == '\r' ? 'r' : 'n';
        }
        text[length++] = c;
    }
    for (size_t i = 0; i < ARRAY_COUNT(patterns); i++) {
        if (str_is((struct str){text, length}, patterns[i].pattern))
            return (int)patterns[i].stage;
    }
    return -1;
}

int pretokenizer_of_name(struct str name, struct pretokenizer *out)
{
    static const struct {
        const char *name;
        struct pretokenizer stages;
    } names[] = {
        {"gpt-2", {{PRETOKEN_GPT2}, 1}},
        {"llama-bpe", {{PRETOKEN_LLAMA3}, 1}},
        {"llama3", {{PRETOKEN_LLAMA3}, 1}},
        {"llama-v3", {{PRETOKEN_LLAMA3}, 1}},
        {"qwen2", {{PRETOKEN_QWEN2}, 1}},
        {"deepseek-r1-qwen", {{PRETOKEN_QWEN2}, 1}},
        {"smollm", {{PRETOKEN_DIGIT, PRETOKEN_GPT2}, 2}},
        {"deepseek-v3", {{PRETOKEN_DIGITS3, PRETOKEN_CJK, PRETOKEN_DEEPSEEK}, 3}},
    };

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_is(name, names[i].name)) {
            *out = names[i].stages;
            return 0;
        }
    }
    return -1;
}
