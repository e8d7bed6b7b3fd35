/* The list of keys, as configs/README.md has it. */
#include <string.h>

#include "engine/config/config.h"
#include "engine/config/schema.h"

static void print_default(const struct ss_key *key, FILE *stream)
{
    if (key->fallback != NULL)
        fprintf(stream, "`%s`", key->fallback);
    else if (key->note != NULL)
        fprintf(stream, "%s", key->note);
    else
        fprintf(stream, "**required**");
}

/* "cpu|cuda" would end a cell of the table. */
static void print_type(const struct ss_key *key, FILE *stream)
{
    char expected[160];

    ss_key_expected(key, expected, sizeof expected);
    if (strncmp(expected, "an ", 3) == 0)
        fprintf(stream, "%s", expected + 3);
    else
        fprintf(stream, "%s", expected + (strncmp(expected, "a ", 2) == 0 ? 2 : 0));
}

void ss_config_print_keys(FILE *stream)
{
    fprintf(stream, "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < ss_key_count; i++) {
        fprintf(stream, "| `%s` | ", ss_keys[i].path);
        print_type(&ss_keys[i], stream);
        fprintf(stream, " | ");
        print_default(&ss_keys[i], stream);
        fprintf(stream, " | %s |\n", ss_keys[i].meaning);
    }
}
