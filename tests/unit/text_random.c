/* Thirty thousand random texts, Unicode-heavy, whose ids and decoded texts must be those of the
 * `tokenizers` package. What is committed is a hash per thousand texts; text_random.py makes the
 * same texts and prints the table. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/random.h"
#include "pipeline/text/detokenizer.h"
#include "pipeline/text/tokenizer.h"
#include "pipeline/text/utf8.h"

#define BLOCKS      10
#define BLOCK_TEXTS 1000
#define TEXT_BYTES  512

/* Where characters are taken from: scripts, marks, white space, symbols, what Unicode 15 and 16
 * added, and everything. */
static const uint32_t ranges[][2] = {
    {0x20, 0x7E},       {0x61, 0x7A},       {0x09, 0x0D},       {0x20, 0x20},
    {0x80, 0x17F},      {0x300, 0x36F},     {0x370, 0x3FF},     {0x400, 0x4FF},
    {0x590, 0x5FF},     {0x600, 0x6FF},     {0x900, 0x97F},     {0xE00, 0xE7F},
    {0x1100, 0x11FF},   {0x1680, 0x1680},   {0x180E, 0x180E},   {0x1AB0, 0x1AFF},
    {0x1DC0, 0x1DFF},   {0x1E00, 0x1FFF},   {0x2000, 0x206F},   {0x2150, 0x218F},
    {0x2460, 0x24FF},   {0x3000, 0x30FF},   {0x4E00, 0x4FFF},   {0xAC00, 0xAFFF},
    {0xFE00, 0xFE2F},   {0xFF00, 0xFF5E},   {0x10D40, 0x10D8F}, {0x11F00, 0x11F5F},
    {0x11935, 0x11935}, {0x11930, 0x11938}, {0x1F130, 0x1F1FF}, {0x1F300, 0x1F6FF},
    {0x1F900, 0x1F9FF}, {0x31350, 0x313FF}, {0x20000, 0x200FF}, {0x0, 0x10FFFF},
};

static const char *const words[] = {
    "the",     " and",     "Hello",     "'s",         "'LL",
    "'\u017f", "don't",    "123",       " 4567",      "...",
    "\r\n",    "   ",      "<|",        "<|eot_id|>", "<|begin_of_text|>",
    "</s>",    " <mask> ", "swapserve", "<think>",    "<|im_start|>",
    "<blank>", "<|note|>",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct {
    const char *tokenizer;
    uint64_t hashes[BLOCKS];
} expected[] = {
    {"tests/golden/models/opt-tiny/tokenizer.json",
     {0x511235d80d11df9b, 0x49a0178ba5e3231a, 0xf209f0f593a50e21, 0xe96bb083d734ed63,
      0x10bdd925ec8aa41f, 0x5df9a6009b5534f5, 0x3c4061df504f7eba, 0x9ca0652465dcdc45,
      0x61673429c25de2bd, 0x775ede9d52b7d2af}},
    {"tests/golden/models/llama-tiny/tokenizer.json",
     {0x4f0e3fbe09aac578, 0x91b9b936061beb12, 0x99623be6c0fc6951, 0x94a518187cba3301,
      0xc879ff868f5ad3d6, 0xa14e379396c8adae, 0x4de3f962871d6456, 0x7f4ab9f3fdcafde1,
      0x25467d6104cf560e, 0x0ff72c24ba946d8f}},
    {"tests/golden/models/qwen2-tiny/tokenizer.json",
     {0x973b49dff4c6b1f4, 0xb382387b0ffb5285, 0x5cb194af49921b79, 0x27582c499489f980,
      0xc994cfda143b8da6, 0x694e63b67c38bf68, 0x73f34234b3428ebf, 0x021ceb045097bc7f,
      0x73c4a8fa6778b7a0, 0x9cba195ab65cc0f9}},
};

/* Puts TEXT, without its end, at AT and returns where it stops. */
static char *put(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    return at;
}

static size_t make_text(uint64_t seed, uint8_t *out)
{
    uint64_t n = 0;
    size_t used = 0, parts = 1 + ss_random_u64(seed, n++) % 16;
    for (size_t i = 0; i < parts; i++) {
        uint64_t kind = ss_random_u64(seed, n++) % 8;
        if (kind == 0) {
            const char *word = words[ss_random_u64(seed, n++) % COUNT(words)];
            used = (size_t)((uint8_t *)put((char *)out + used, word) - out);
            continue;
        }
        const uint32_t *range = ranges[ss_random_u64(seed, n++) % COUNT(ranges)];
        size_t characters = 1 + ss_random_u64(seed, n++) % 6;
        for (size_t k = 0; k < characters; k++) {
            uint32_t c =
                range[0] + (uint32_t)(ss_random_u64(seed, n++) % (range[1] - range[0] + 1));
            if (c < 0xD800 || c > 0xDFFF)
                used += ss_utf8_encode(c, out + used);
        }
    }
    return used;
}

static uint64_t add_bytes(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * 0x100000001b3ull;
    return hash;
}

static uint64_t hash_block(const struct ss_tokenizer *tokenizer, uint64_t block)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    for (uint64_t i = 0; i < BLOCK_TEXTS; i++) {
        uint8_t text[TEXT_BYTES];
        char decoded[8 * TEXT_BYTES];
        uint32_t ids[TEXT_BYTES];
        size_t bytes = make_text(block * BLOCK_TEXTS + i, text), count, decoded_bytes;
        cr_assert_eq(
            ss_tokenizer_encode(tokenizer, (char *)text, bytes, i % 2, ids, TEXT_BYTES, &count),
            SS_OK, "%s", ss_status_message());
        cr_assert_eq(ss_detokenize(tokenizer, ids, count, i % 3 == 0, decoded, sizeof decoded,
                                   &decoded_bytes),
                     SS_OK, "%s", ss_status_message());
        for (size_t k = 0; k < count; k++) {
            uint8_t id[4] = {(uint8_t)ids[k], (uint8_t)(ids[k] >> 8), (uint8_t)(ids[k] >> 16),
                             (uint8_t)(ids[k] >> 24)};
            hash = add_bytes(hash, id, 4);
        }
        hash = add_bytes(hash, decoded, decoded_bytes);
    }
    return hash;
}

Test(text_random, as_the_reference)
{
    for (size_t t = 0; t < COUNT(expected); t++) {
        struct ss_tokenizer *tokenizer;
        cr_assert_eq(ss_tokenizer_open(expected[t].tokenizer, &tokenizer), SS_OK, "%s",
                     ss_status_message());
        for (uint64_t block = 0; block < BLOCKS; block++)
            cr_expect_eq(hash_block(tokenizer, block), expected[t].hashes[block],
                         "%s: some of the texts %lu..%lu", expected[t].tokenizer,
                         (unsigned long)(block * BLOCK_TEXTS),
                         (unsigned long)(block * BLOCK_TEXTS + BLOCK_TEXTS - 1));
        ss_tokenizer_close(tokenizer);
    }
}
