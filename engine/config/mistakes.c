#include "engine/config/mistakes.h"

#include <stdarg.h>
#include <stdlib.h>

#include "engine/base/memory.h"

#define TEXT_BYTES_MAX 1024

enum ss_status ss_mistakes_create(struct ss_mistakes **out)
{
    return ss_alloc(out, 1, sizeof **out, "the list of mistakes");
}

void ss_mistakes_destroy(struct ss_mistakes *mistakes)
{
    if (mistakes == NULL)
        return;
    for (size_t i = 0; i < mistakes->count && i < SS_MISTAKES_MAX; i++)
        ss_free(mistakes->items[i].text);
    ss_free(mistakes);
}

bool ss_mistakes_full(const struct ss_mistakes *mistakes)
{
    return mistakes->count >= SS_MISTAKES_MAX;
}

void ss_mistakes_add(struct ss_mistakes *mistakes, int line, int column, const char *key,
                     const char *format, ...)
{
    char text[TEXT_BYTES_MAX];
    int used = 0;
    va_list arguments;

    if (!ss_mistakes_full(mistakes)) {
        struct ss_mistake *item = &mistakes->items[mistakes->count];

        if (key != NULL)
            used = snprintf(text, sizeof text / 2, "%s: ", key);
        if (used >= (int)sizeof text / 2)
            used = (int)sizeof text / 2 - 1;
        va_start(arguments, format);
        vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
        va_end(arguments);
        *item = (struct ss_mistake){.line = line, .column = column, .order = mistakes->count};
        if (ss_strdup(&item->text, text) != SS_OK)
            item->text = NULL;
    }
    mistakes->count++;
}

static int compare(const void *left, const void *right)
{
    const struct ss_mistake *a = left, *b = right;

    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

void ss_mistakes_print(struct ss_mistakes *mistakes, const char *file, FILE *stream)
{
    size_t kept = mistakes->count < SS_MISTAKES_MAX ? mistakes->count : SS_MISTAKES_MAX;

    qsort(mistakes->items, kept, sizeof mistakes->items[0], compare);
    for (size_t i = 0; i < kept; i++) {
        const struct ss_mistake *item = &mistakes->items[i];
        const char *text = item->text != NULL ? item->text : "a mistake (no memory to say which)";

        if (item->line == 0)
            fprintf(stream, "%s: %s\n", file, text);
        else
            fprintf(stream, "%s:%d:%d: %s\n", file, item->line, item->column, text);
    }
    if (mistakes->count > kept)
        fprintf(stream, "%s: too many mistakes, the rest are not shown\n", file);
}
