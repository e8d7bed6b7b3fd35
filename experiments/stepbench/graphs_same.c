/* Are recorded steps the same steps? The same texts twice on random weights, launched kernel by
 * kernel and as recordings: every logit, bit by bit; batches of several sizes, contexts that grow
 * past a shape's, weights that come back at the same place and at another.
 *
 *     mpirun -np TP*PP graphs_same TP PP [MODEL SCALE [DEVICE]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "experiments/stepbench/bed.h"

#define SEQUENCES 7
#define ROUNDS    4
#define STEPS     12
#define SUMS_MAX  1024

/* What each batch's logits came to, by order. */
static struct {
    uint64_t sums[2][SUMS_MAX];
    int count[2];
    int kind;
} batches;

/* FNV-1a over the words. */
static uint64_t sum_of(const float *values, size_t count)
{
    uint64_t sum = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, &values[i], sizeof word);
        sum = (sum ^ word) * 0x100000001b3ull;
    }
    return sum;
}

static void on_logits(void *bed, uint64_t number, uint32_t count, uint32_t vocab,
                      const float *logits)
{
    (void)bed;
    (void)number;
    if (batches.count[batches.kind] < SUMS_MAX)
        batches.sums[batches.kind][batches.count[batches.kind]++] =
            sum_of(logits, (size_t)count * vocab);
}

static enum ss_status load(struct bed *bed)
{
    uint64_t number;
    enum ss_status status = bed_load(bed, 0, &number);
    return status ? status : bed_await_load(bed, number);
}

/* All sequences open, then step in groups of every size. */
static enum ss_status generate(struct bed *bed, bool behind_load)
{
    struct sequence all[SEQUENCES];
    uint64_t number = 0, before = 0;
    enum ss_status status = behind_load ? SS_OK : load(bed);
    if (behind_load)
        status = bed_load(bed, 0, &number);
    bed_clear(bed);
    for (uint16_t i = 0; i < SEQUENCES; i++)
        all[i] = (struct sequence){.slot = i, .prompt = 17u + 83u * i, .known = 17u + 83u * i};
    if (!status)
        status = bed_step(bed, all, SEQUENCES, &before);
    for (int i = 0; i < STEPS && !status; i++) {
        status = bed_step(bed, all, 1u + (uint32_t)i % SEQUENCES, &number);
        if (!status)
            status = bed_await_batch(bed, before);
        before = number;
    }
    if (!status)
        status = bed_await_batch(bed, before);
    return status ? status : bed_drop(bed, 0, &number);
}

static enum ss_status run(struct bed *bed, int kind)
{
    enum ss_status status;
    batches.kind = kind;
    bed->graphs = kind == 1;
    bed->next_page = bed->weight_pages = 0;
    bed->done = bed->ended = 0;
    bed->shift = 0;
    status = bed_open(bed);
    for (int round = 0; round < ROUNDS && !status; round++) {
        bed->shift = round / 2 * bed->weight_pages; /* twice here, twice elsewhere */
        status = generate(bed, round % 2);
    }
    if (!status)
        bed_close(bed);
    return status;
}

int main(int argc, char **argv)
{
    const struct ss_link_options link = {.message_bytes_max = 4096, .credits = 4, .queue_max = 64};
    static struct bed bed = {.device_kind = "cuda",
                             .operations = "real",
                             .model = "opt-1.3b",
                             .scale = 0.25,
                             .models = 2,
                             .page_bytes = (uint64_t)2 << 20,
                             .piece_bytes = (uint64_t)16 << 20,
                             .on_logits = on_logits};
    bed.tp = argc > 1 ? (int)strtol(argv[1], 0, 10) : 1;
    bed.pp = argc > 2 ? (int)strtol(argv[2], 0, 10) : 1;
    if (argc > 4) {
        bed.model = argv[3];
        bed.scale = strtod(argv[4], 0);
    }
    if (argc > 5)
        bed.device_kind = argv[5];
    struct ss_link *own = 0;
    enum ss_status status = ss_link_open_mpi(&link, &own);
    bed.link = own;
    for (int kind = 0; kind < 2 && !status; kind++)
        status = run(&bed, kind);
    if (status) {
        fprintf(stderr, "%s\n", ss_status_message());
        return EXIT_FAILURE;
    }
    int differ = batches.count[0] != batches.count[1];
    for (int i = 0; i < batches.count[0]; i++)
        if (batches.sums[0][i] != batches.sums[1][i]) {
            printf("rank %d: batch %d differs\n", own->rank, i);
            differ++;
        }
    printf("rank %d: %d batches, %d differ\n", own->rank, batches.count[0], differ);
    own->table->destroy(own);
    return differ ? EXIT_FAILURE : EXIT_SUCCESS;
}
