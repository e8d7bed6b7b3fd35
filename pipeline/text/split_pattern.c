#include "pipeline/text/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "pipeline/text/oniguruma.h"
#include "pipeline/text/utf8.h"

struct ss_split_pattern {
    pcre2_code *code;
};

static enum ss_status compile(const char *text, uint32_t options, pcre2_code **out)
{
    pcre2_compile_context *context = pcre2_compile_context_create(0);
    if (!context)
        return ss_fail(SS_NO_MEMORY, "out of host memory: a pattern's compile context");
    /* Oniguruma's dot stops at \n alone, whatever PCRE2 was built for. */
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int error = 0;
    size_t offset = 0;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &error, &offset, context);
    pcre2_compile_context_free(context);
    if (!code) {
        unsigned char why[200];
        pcre2_get_error_message(error, why, sizeof why);
        return ss_fail(SS_INVALID, "the pattern does not compile: %s", (const char *)why);
    }
    /* Without a JIT on this machine, patterns are interpreted: slower, the same matches. */
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    *out = code;
    return SS_OK;
}

enum ss_status ss_split_pattern_create(const char *text, bool literal,
                                       struct ss_split_pattern **out)
{
    struct ss_split_pattern *pattern;
    enum ss_status status = ss_alloc(&pattern, 1, sizeof *pattern, "split pattern");
    if (status)
        return status;
    if (literal) {
        status = compile(text, PCRE2_UTF | PCRE2_LITERAL, &pattern->code);
    } else {
        char *translated = 0;
        status = ss_oniguruma_to_pcre2(text, &translated);
        if (!status)
            status = compile(translated, PCRE2_UTF | PCRE2_UCP, &pattern->code);
        ss_free(translated);
    }
    if (status) {
        ss_free(pattern);
        return status;
    }
    *out = pattern;
    return SS_OK;
}

void ss_split_pattern_destroy(struct ss_split_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    ss_free(pattern);
}

enum ss_status ss_split_search_open(struct ss_split_search *search)
{
    *search = (struct ss_split_search){.match = pcre2_match_data_create(1, 0)};
    if (!search->match)
        return ss_fail(SS_NO_MEMORY, "out of host memory: a pattern's match data");
    return SS_OK;
}

void ss_split_search_close(struct ss_split_search *search)
{
    pcre2_match_data_free(search->match);
    search->match = 0;
}

void ss_split_search_start(struct ss_split_search *search, const struct ss_split_pattern *pattern,
                           const uint8_t *text, size_t bytes)
{
    search->pattern = pattern;
    search->text = text;
    search->bytes = bytes;
    search->from = 0;
    search->last_end = SIZE_MAX;
}

static enum ss_status match(struct ss_split_search *search, bool *found)
{
    const pcre2_code *code = search->pattern->code;
    /* Checking the encoding again at every match would make the whole search quadratic. */
    uint32_t options = PCRE2_NO_UTF_CHECK;
    int result =
        pcre2_match(code, search->text, search->bytes, search->from, options, search->match, 0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT)
        result = pcre2_match(code, search->text, search->bytes, search->from,
                             options | PCRE2_NO_JIT, search->match, 0);
    *found = result >= 0;
    if (result >= 0 || result == PCRE2_ERROR_NOMATCH)
        return SS_OK;
    unsigned char why[200];
    pcre2_get_error_message(result, why, sizeof why);
    return ss_fail(SS_INVALID, "the tokenizer's split pattern gave up at byte %zu of %zu: %s",
                   search->from, search->bytes, (const char *)why);
}

enum ss_status ss_split_search_next(struct ss_split_search *search, size_t *start, size_t *end)
{
    while (search->from <= search->bytes) {
        bool found;
        enum ss_status status = match(search, &found);
        if (status)
            return status;
        if (!found)
            break;
        const size_t *place = pcre2_get_ovector_pointer(search->match);
        if (place[0] == place[1] && place[1] == search->last_end) {
            size_t length = 1;
            if (search->from < search->bytes)
                (void)ss_utf8_decode(search->text + search->from, &length);
            search->from += length;
            continue;
        }
        search->from = place[1];
        search->last_end = place[1];
        *start = place[0];
        *end = place[1];
        return SS_OK;
    }
    search->from = search->bytes + 1;
    return SS_EMPTY;
}
