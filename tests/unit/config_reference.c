/* configs/README.md, configs/profiles/README.md and configs/workloads/README.md list the keys as
 * their schemas have them, between two markers. FILE's folder says which.
 *
 *     config_reference FILE            fails where they differ
 *     config_reference FILE --update   writes the list into FILE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config/config.h"
#include "engine/config/profile.h"
#include "engine/workload/workload.h"

#define BEGIN "<!-- keys: written by config_reference --update -->\n"
#define END   "<!-- end of keys -->\n"

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    long bytes = 0;
    char *text;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (bytes = ftell(file)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(file);
    text = calloc((size_t)bytes + 1, 1);
    if (text == NULL || fread(text, 1, (size_t)bytes, file) != (size_t)bytes) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return text;
}

static const struct ss_schema *schema_of(const char *path)
{
    if (strstr(path, "profiles/") != NULL)
        return &ss_profile_schema;
    return strstr(path, "workloads/") != NULL ? &ss_workload_schema : &ss_config_schema;
}

int main(int argc, char **argv)
{
    char *text, *begin, *end, *keys = NULL;
    size_t keys_bytes = 0;
    FILE *stream = open_memstream(&keys, &keys_bytes);
    int differ;

    if (argc < 2 || stream == NULL)
        return 2;
    text = read_whole(argv[1]);
    begin = strstr(text, BEGIN);
    end = begin != NULL ? strstr(begin, END) : NULL;
    if (end == NULL) {
        fprintf(stderr, "%s: the markers of the list of keys are gone\n", argv[1]);
        return 1;
    }
    begin += strlen(BEGIN);
    ss_schema_print(schema_of(argv[1]), stream);
    fclose(stream);
    differ = (size_t)(end - begin) != keys_bytes || memcmp(begin, keys, keys_bytes) != 0;
    if (differ && argc > 2 && strcmp(argv[2], "--update") == 0) {
        FILE *file = fopen(argv[1], "w");

        if (file == NULL)
            return 1;
        fprintf(file, "%.*s%s%s", (int)(begin - text), text, keys, end);
        differ = fclose(file) != 0;
    } else if (differ) {
        fprintf(stderr, "%s: the list of keys is not the schema's; run: %s %s --update\n", argv[1],
                argv[0], argv[1]);
    }
    free(text);
    free(keys);
    return differ;
}
