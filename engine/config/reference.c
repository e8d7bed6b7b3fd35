/* The list of keys, as the READMEs have it. */
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

void ss_schema_print(const struct ss_schema *schema, FILE *stream)
{
    fprintf(stream, "| key | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < schema->key_count; i++) {
        fprintf(stream, "| `%s` | ", schema->keys[i].path);
        print_type(&schema->keys[i], stream);
        fprintf(stream, " | ");
        print_default(&schema->keys[i], stream);
        fprintf(stream, " | %s |\n", schema->keys[i].meaning);
    }
}
