#include "pipeline/text/tokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "pipeline/text/tokenizer_parts.h"

#define DEPTH_MAX 4

/* Sets *NFC if the "normalizer" at PLACE is, or has in it, NFC: nothing else is supported. */
static enum ss_status load_normalizer(const struct ss_json_place *place, int depth, bool *nfc)
{
    const char *type;
    if (!place->value)
        return SS_OK;
    enum ss_status status = ss_json_type(place, &type);
    if (status)
        return status;
    if (strcmp(type, "NFC") == 0) {
        *nfc = true;
        return SS_OK;
    }
    if (strcmp(type, "Sequence") != 0)
        return ss_json_refuse(SS_UNSUPPORTED, place, "supported are NFC and Sequence");
    if (depth == DEPTH_MAX)
        return ss_json_fail(SS_UNSUPPORTED, place, "Sequences nest deeper than %d", DEPTH_MAX);
    struct ss_json_place list, element;
    size_t count = 0;
    status = ss_json_member(place, "normalizers", &list);
    if (!status)
        status = ss_json_array(&list, &count);
    for (size_t i = 0; i < count && !status; i++) {
        ss_json_element(&list, i, &element);
        status = element.value
                     ? load_normalizer(&element, depth + 1, nfc)
                     : ss_json_refuse(SS_INVALID, &element, "this should be a normalizer");
    }
    return status;
}

/* The "decoder" at PLACE must be ByteLevel, once; a Sequence may wrap it. */
static enum ss_status check_decoder(const struct ss_json_place *place, int depth)
{
    const char *type;
    if (!place->value)
        return ss_json_refuse(SS_UNSUPPORTED, place, "byte-level BPE needs a ByteLevel");
    enum ss_status status = ss_json_type(place, &type);
    if (status || strcmp(type, "ByteLevel") == 0)
        return status;
    if (strcmp(type, "Sequence") != 0)
        return ss_json_refuse(SS_UNSUPPORTED, place, "supported are ByteLevel and Sequence");
    if (depth == DEPTH_MAX)
        return ss_json_fail(SS_UNSUPPORTED, place, "Sequences nest deeper than %d", DEPTH_MAX);
    struct ss_json_place list, element;
    size_t count = 0;
    status = ss_json_member(place, "decoders", &list);
    if (!status)
        status = ss_json_array(&list, &count);
    if (status)
        return status;
    if (count != 1)
        return ss_json_refuse(SS_UNSUPPORTED, &list, "supported is a Sequence of one ByteLevel");
    ss_json_element(&list, 0, &element);
    return check_decoder(&element, depth + 1);
}

static enum ss_status check_top(const struct ss_json_place *top)
{
    static const char *const refused[] = {"truncation", "padding"};
    struct ss_json_place member;
    enum ss_status status = ss_json_member(top, "version", &member);
    if (status)
        return status;
    if (member.value &&
        (!json_is_string(member.value) || strcmp(json_string_value(member.value), "1.0") != 0))
        return ss_json_refuse(SS_UNSUPPORTED, &member, "the supported version is \"1.0\"");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        status = ss_json_member(top, refused[i], &member);
        if (!status && member.value)
            return ss_json_refuse(SS_UNSUPPORTED, &member,
                                  "this must be null: a prompt is neither cut nor padded");
        if (status)
            return status;
    }
    return SS_OK;
}

static enum ss_status load(const struct ss_json_place *top, struct ss_tokenizer *out)
{
    struct ss_json_place member;
    enum ss_status status = check_top(top);
    if (!status)
        status = ss_json_member(top, "model", &member);
    if (!status)
        status = ss_bpe_load(&member, &out->vocabulary, &out->bpe);
    if (!status)
        status = ss_json_member(top, "normalizer", &member);
    if (!status)
        status = load_normalizer(&member, 0, &out->nfc);
    if (!status)
        status = ss_json_member(top, "pre_tokenizer", &member);
    if (!status)
        status = ss_pretokenizer_load(&member, &out->pretokenizer);
    if (!status)
        status = ss_json_member(top, "added_tokens", &member);
    if (!status)
        status = ss_added_tokens_load(&member, out->nfc, &out->vocabulary, &out->added);
    if (!status)
        status = ss_json_member(top, "post_processor", &member);
    if (!status)
        status = ss_postprocessor_load(&member, &out->vocabulary, &out->postprocessor);
    if (!status)
        status = ss_json_member(top, "decoder", &member);
    if (!status)
        status = check_decoder(&member, 0);
    return status;
}

enum ss_status ss_tokenizer_open_json(const char *name, const char *json, size_t bytes,
                                      struct ss_tokenizer **out)
{
    if (bytes > SS_TOKENIZER_FILE_BYTES_MAX)
        return ss_fail(SS_UNSUPPORTED, "%s: %zu bytes; a tokenizer.json can have %u", name, bytes,
                       SS_TOKENIZER_FILE_BYTES_MAX);
    struct ss_json_place top = {.file = name};
    struct ss_tokenizer *tokenizer = 0;
    json_error_t error;
    json_t *root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return ss_fail(SS_INVALID, "%s:%d:%d: %s", name, error.line, error.column, error.text);
    top.value = root;
    enum ss_status status = ss_alloc(&tokenizer, 1, sizeof *tokenizer, "tokenizer");
    if (!status)
        status = load(&top, tokenizer);
    json_decref(root);
    if (status) {
        ss_tokenizer_close(tokenizer);
        return status;
    }
    *out = tokenizer;
    return SS_OK;
}

/* Reads the whole FILE. */
static enum ss_status read_file(const char *path, FILE *file, char **out, size_t *bytes)
{
    struct stat about;
    char *text = 0;
    if (ss_fault(SS_FAULT_FILE))
        return ss_fail_errno(SS_IO, EIO, "%s", path);
    if (fstat(fileno(file), &about) != 0)
        return ss_fail_errno(SS_IO, errno, "%s", path);
    if (!S_ISREG(about.st_mode))
        return ss_fail(SS_INVALID, "%s: this is not a file", path);
    if (about.st_size > (off_t)SS_TOKENIZER_FILE_BYTES_MAX)
        return ss_fail(SS_UNSUPPORTED, "%s: %lld bytes; a tokenizer.json can have %u", path,
                       (long long)about.st_size, SS_TOKENIZER_FILE_BYTES_MAX);
    enum ss_status status = ss_alloc(&text, (size_t)about.st_size, 1, "a tokenizer.json");
    if (status)
        return status;
    size_t got = fread(text, 1, (size_t)about.st_size, file);
    if (ferror(file)) {
        ss_free(text);
        return ss_fail_errno(SS_IO, errno, "%s", path);
    }
    *out = text;
    *bytes = got;
    return SS_OK;
}

enum ss_status ss_tokenizer_open(const char *path, struct ss_tokenizer **out)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return ss_fail_errno(errno == ENOENT ? SS_NOT_FOUND : SS_IO, errno, "%s", path);
    char *text = 0;
    size_t bytes = 0;
    enum ss_status status = read_file(path, file, &text, &bytes);
    fclose(file);
    if (!status)
        status = ss_tokenizer_open_json(path, text, bytes, out);
    ss_free(text);
    return status;
}

void ss_tokenizer_close(struct ss_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    ss_added_tokens_free(&tokenizer->added);
    ss_pretokenizer_free(&tokenizer->pretokenizer);
    ss_bpe_free(&tokenizer->bpe);
    ss_vocabulary_free(&tokenizer->vocabulary);
    ss_free(tokenizer);
}

uint32_t ss_tokenizer_vocab_size(const struct ss_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.ids_end;
}

enum ss_status ss_tokenizer_token_id(const struct ss_tokenizer *tokenizer, const char *token,
                                     uint32_t *id)
{
    uint32_t found = ss_vocabulary_find(&tokenizer->vocabulary, token, strlen(token));
    if (found == SS_NO_TOKEN)
        return ss_fail(SS_NOT_FOUND, "the tokenizer has no token \"%.100s\"", token);
    *id = found;
    return SS_OK;
}

bool ss_tokenizer_is_special(const struct ss_tokenizer *tokenizer, uint32_t id)
{
    return ss_vocabulary_has(&tokenizer->vocabulary, id) &&
           tokenizer->vocabulary.tokens[id].flags & SS_TOKEN_SPECIAL;
}

const char *ss_tokenizer_token_bytes(const struct ss_tokenizer *tokenizer, uint32_t id,
                                     size_t *bytes)
{
    const struct ss_vocabulary *vocabulary = &tokenizer->vocabulary;
    if (!ss_vocabulary_has(vocabulary, id)) {
        *bytes = 0;
        return "";
    }
    *bytes = vocabulary->tokens[id].bytes_length;
    return (const char *)vocabulary->bytes + vocabulary->tokens[id].bytes_at;
}

size_t ss_tokenizer_token_bytes_max(const struct ss_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.bytes_length_max;
}
