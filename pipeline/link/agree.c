#include "pipeline/link/agree.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SAID_BYTES 400
#define RANKS_MAX  256

struct said {
    int status;
    char message[SAID_BYTES];
};

/* Every rank failed with the same words: they need not say who, or had agreed on them before. */
static bool is_agreed(const struct said *all, int ranks)
{
    for (int rank = 0; rank < ranks; rank++)
        if (!all[rank].status || strcmp(all[rank].message, all[0].message) != 0)
            return false;
    return true;
}

static enum ss_status join(const struct said *all, int ranks)
{
    char joined[SS_MESSAGE_BYTES] = "";
    int first_bad = 0;
    for (int rank = 0; rank < ranks; rank++) {
        size_t used = strlen(joined);
        if (!all[rank].status)
            continue;
        first_bad = first_bad ? first_bad : all[rank].status;
        if (!strstr(joined, all[rank].message))
            snprintf(joined + used, sizeof joined - used, "%srank %d: %s", used ? "\n" : "", rank,
                     all[rank].message);
    }
    return first_bad ? ss_fail((enum ss_status)first_bad, "%s", joined) : SS_OK;
}

enum ss_status ss_agree(struct ss_link *link, enum ss_status status)
{
    struct said mine = {.status = (int)status};
    /* On the stack: a rank that is out of memory must still be able to say so. */
    struct said all[RANKS_MAX];
    if (link->ranks > RANKS_MAX)
        return ss_fail(SS_UNSUPPORTED, "%d ranks; at most %d", link->ranks, RANKS_MAX);
    if (status)
        snprintf(mine.message, sizeof mine.message, "%s", ss_status_message());
    enum ss_status gathered = link->table->all_gather(link, &mine, sizeof mine, all);
    if (gathered)
        return gathered;
    return is_agreed(all, link->ranks)
               ? ss_fail((enum ss_status)all[0].status, "%s", all[0].message)
               : join(all, link->ranks);
}

int ss_link_place(struct ss_link *link)
{
    int place = 0;
    for (int rank = 0; rank < link->rank; rank++)
        place += link->table->same_node(link, rank) != 0;
    return place;
}
