#include <string.h>

#include "engine/base/memory.h"
#include "rpc/client/client.h"

/* Doubles, so that a long stream costs a linear number of copied bytes. */
static bool grow(void *pointer, size_t *max, size_t need, size_t size)
{
    size_t wanted = *max ? *max : 64;
    if (need <= *max)
        return true;
    while (wanted < need)
        wanted *= 2;
    if (ss_realloc(pointer, wanted, size, "generated text"))
        return false;
    *max = wanted;
    return true;
}

bool harvest_add(struct harvest *harvest, const char *text, size_t text_bytes,
                 const uint32_t *tokens, size_t token_count)
{
    if (!grow(&harvest->text, &harvest->text_bytes_max, harvest->text_bytes + text_bytes + 1, 1) ||
        !grow(&harvest->tokens, &harvest->token_count_max, harvest->token_count + token_count + 1,
              sizeof *tokens))
        return false;
    if (text_bytes > 0)
        memcpy(harvest->text + harvest->text_bytes, text, text_bytes);
    harvest->text_bytes += text_bytes;
    harvest->text[harvest->text_bytes] = 0;
    if (token_count > 0)
        memcpy(harvest->tokens + harvest->token_count, tokens, token_count * sizeof *tokens);
    harvest->token_count += token_count;
    return true;
}

void harvest_free(struct harvest *harvest)
{
    ss_free(harvest->text);
    ss_free(harvest->tokens);
    *harvest = (struct harvest){0};
}
