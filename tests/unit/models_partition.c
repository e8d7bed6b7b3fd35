/* How models are cut: every source element held where it should be, stages balanced, refusals. */
#include <math.h>

#include "tests/unit/models_folder.h"

#define SOURCES_MAX 256

/* A checkpoint tensor, and how often each of its elements is held over the ranks of a cut. */
struct source {
    char name[SS_TENSOR_NAME_BYTES];
    uint32_t rows, columns;
    unsigned char *held;
    int whole_on; /* ranks that hold all of it */
};

struct sources {
    int count;
    struct source items[SOURCES_MAX];
};

static struct source *source_of(struct sources *sources, const struct ss_tensor_part *part)
{
    for (int i = 0; i < sources->count; i++) {
        struct source *source = &sources->items[i];
        if (strcmp(source->name, part->name) == 0) {
            cr_assert_eq(source->rows, part->source_rows, "%s", part->name);
            cr_assert_eq(source->columns, part->source_columns, "%s", part->name);
            return source;
        }
    }
    cr_assert_lt(sources->count, SOURCES_MAX);
    struct source *source = &sources->items[sources->count++];
    *source = (struct source){.rows = part->source_rows, .columns = part->source_columns};
    memcpy(source->name, part->name, sizeof source->name);
    source->held = calloc(source->rows, source->columns);
    cr_assert(source->held);
    return source;
}

static void count_part(struct sources *sources, const struct ss_tensor_part *part)
{
    struct source *source = source_of(sources, part);
    cr_assert_leq(part->row_begin + part->row_count, part->source_rows, "%s", part->name);
    cr_assert_leq(part->column_begin + part->column_count, part->source_columns, "%s", part->name);
    if (part->row_count == part->source_rows && part->column_count == part->source_columns)
        source->whole_on++;
    for (uint32_t r = 0; r < part->row_count; r++)
        for (uint32_t c = 0; c < part->column_count; c++)
            source->held[(size_t)(part->row_begin + r) * part->source_columns + part->column_begin +
                         c]++;
}

/* A tensor's parts fill it: rows of equal width on one another, or one row end to end. What is not
 * filled is padding, which only a vocabulary has. */
static void check_tensor(const struct ss_tensor *tensor, uint32_t vocab)
{
    uint64_t filled = 0;
    for (int i = 0; i < tensor->part_count; i++) {
        const struct ss_tensor_part *part = &tensor->parts[i];
        filled += (uint64_t)part->row_count * part->column_count;
        if (tensor->rows > 1)
            cr_assert_eq(part->column_count, tensor->columns, "%s", part->name);
        else
            cr_assert_leq(part->row_count, 1, "%s", part->name);
        cr_assert(part->row_count || part->source_rows == vocab, "%s: nothing of it", part->name);
    }
    if (filled != (uint64_t)tensor->rows * tensor->columns)
        cr_assert_eq(tensor->parts[0].source_rows, vocab, "%s", tensor->parts[0].name);
}

static void count_image(struct sources *sources, const struct ss_image *image, uint32_t vocab)
{
    size_t at = 0;
    for (int c = 0; c < image->chunk_count; c++) {
        const struct ss_chunk *chunk = &image->chunks[c];
        cr_assert_eq(chunk->offset, at, "chunks lie one after another");
        at += chunk->bytes;
        for (int t = 0; t < chunk->tensor_count; t++) {
            const struct ss_tensor *tensor = &chunk->tensors[t];
            if (tensor->rows == 0)
                continue;
            check_tensor(tensor, vocab);
            for (int p = 0; p < tensor->part_count; p++)
                count_part(sources, &tensor->parts[p]);
        }
    }
    cr_assert_eq(image->bytes, at);
}

/* Tensors that a stage's ranks all hold: those that no cut divides. */
static bool is_whole(const char *name)
{
    return strstr(name, "norm") || strstr(name, "embed_positions") || strstr(name, "project_") ||
           strstr(name, "o_proj.bias") || strstr(name, "out_proj.bias") ||
           strstr(name, "down_proj.bias") || strstr(name, "fc2.bias");
}

/* Chunks lie in execution order: embedding first, then each layer once, then the head. */
static void check_order(const struct ss_partition *cut, const struct ss_image *image, int stage)
{
    int at = 0;
    if (stage == 0)
        cr_assert_eq(image->chunks[at++].kind, SS_CHUNK_EMBEDDING);
    for (uint32_t l = cut->first_layer[stage]; l < cut->first_layer[stage + 1]; l++, at++) {
        cr_assert_eq(image->chunks[at].kind, SS_CHUNK_LAYER);
        cr_assert_eq(image->chunks[at].layer, (int)l);
    }
    if (stage == cut->pp - 1)
        cr_assert_eq(image->chunks[at++].kind, SS_CHUNK_HEAD);
    cr_assert_eq(image->chunk_count, at);
}

static void check_cut(const struct ss_shape *shape, int tp, int pp)
{
    static struct sources sources;
    struct ss_partition cut;
    memset(&sources, 0, sizeof sources);
    cr_assert_eq(ss_partition_make(shape, tp, pp, &cut), SS_OK, "%s", ss_status_message());
    cr_assert(cut.tp == tp && cut.pp == pp && cut.first_layer[0] == 0);
    cr_assert_eq(cut.first_layer[pp], shape->layers);
    for (int stage = 0; stage < pp; stage++) {
        size_t bytes = 0;
        cr_assert_lt(cut.first_layer[stage], cut.first_layer[stage + 1], "a stage has a layer");
        for (int rank = 0; rank < tp; rank++) {
            struct ss_image image;
            cr_assert_eq(ss_partition_image(&cut, shape, stage, rank, &image), SS_OK);
            check_order(&cut, &image, stage);
            count_image(&sources, &image, shape->vocab);
            cr_assert(!bytes || bytes == image.bytes, "tp peers hold equally many bytes");
            bytes = image.bytes;
            ss_image_release(&image);
        }
    }
    for (int i = 0; i < sources.count; i++) {
        struct source *source = &sources.items[i];
        bool table = strstr(source->name, "embed_tokens") != 0;
        int times = is_whole(source->name) ? tp : 1;
        /* A tied head on another stage than the embedding has its own copy. */
        if (table && shape->tied && pp > 1)
            times++;
        for (size_t e = 0; e < (size_t)source->rows * source->columns; e++)
            cr_assert_eq(source->held[e], times, "%s of tp %d pp %d: element %zu held %d times",
                         source->name, tp, pp, e, source->held[e]);
        if (is_whole(source->name))
            cr_assert_eq(source->whole_on, tp, "%s", source->name);
        free(source->held);
    }
    cr_assert_gt(sources.count, (int)shape->layers * 6);
}

static void check_every_cut(const char *config, const char *changes)
{
    struct ss_shape shape = accept_changed(config, changes);
    snprintf(shape.prefix, sizeof shape.prefix, "model.");
    shape.dtype = SS_F16;
    for (int tp = 1; tp <= 8; tp++)
        for (int pp = 1; pp <= (int)shape.layers; pp++)
            if (shape.heads % (uint32_t)tp == 0 && shape.kv_heads % (uint32_t)tp == 0 &&
                shape.ffn % (uint32_t)tp == 0)
                check_cut(&shape, tp, pp);
}

Test(models_partition, opt_tiles)
{
    check_every_cut(opt_config, "{}");
    check_every_cut(opt_config, "{'do_layer_norm_before': false, 'word_embed_proj_dim': 48}");
    check_every_cut(opt_config, "{'enable_bias': false, 'tie_word_embeddings': false,"
                                " 'layer_norm_elementwise_affine': false}");
}

Test(models_partition, llama_tiles)
{
    check_every_cut(llama_config, "{}");
    check_every_cut(llama_config, "{'num_key_value_heads': 8, 'attention_bias': true,"
                                  " 'mlp_bias': true, 'tie_word_embeddings': true}");
    /* Three ranks, and a head width that is not hidden_size / heads. */
    check_every_cut(llama_config, "{'num_attention_heads': 12, 'num_key_value_heads': 6,"
                                  " 'intermediate_size': 144, 'head_dim': 20}");
}

Test(models_partition, qwen2_tiles)
{
    check_every_cut(qwen2_config, "{}");
    check_every_cut(qwen2_config, "{'num_key_value_heads': 8, 'tie_word_embeddings': true}");
}

Test(models_partition, a_vocabulary_smaller_than_its_parts)
{
    /* ceil(9 / 8) = 2 rows each: rank 4 has one, ranks 5 to 7 only padding. */
    struct ss_shape shape =
        accept_changed(llama_config, "{'num_key_value_heads': 8, 'vocab_size': 9}");
    struct ss_partition cut;
    struct ss_image image;
    check_cut(&shape, 8, 1);
    cr_assert_eq(ss_partition_make(&shape, 8, 1, &cut), SS_OK);
    static const uint32_t counts[] = {2, 2, 2, 2, 1, 0, 0, 0};
    for (int rank = 0; rank < 8; rank++) {
        cr_assert_eq(ss_partition_image(&cut, &shape, 0, rank, &image), SS_OK);
        const struct ss_tensor *table = &image.chunks[0].tensors[0];
        cr_assert_eq(table->rows, 2);
        cr_assert_eq(table->parts[0].row_count, counts[rank], "rank %d", rank);
        ss_image_release(&image);
    }
}

Test(models_partition, a_tied_head_beside_its_embedding_holds_nothing)
{
    struct ss_shape shape = accept_changed(opt_config, "{}");
    struct ss_partition cut;
    for (int pp = 1; pp <= 2; pp++) {
        struct ss_image image;
        cr_assert_eq(ss_partition_make(&shape, 2, pp, &cut), SS_OK);
        cr_assert_eq(ss_partition_image(&cut, &shape, pp - 1, 1, &image), SS_OK);
        const struct ss_chunk *head = &image.chunks[image.chunk_count - 1];
        const struct ss_tensor *table = &head->tensors[head->tensor_count - 1];
        cr_assert_eq(table->rows, pp == 1 ? 0 : 125, "pp %d", pp);
        ss_image_release(&image);
    }
}

/* What model.h says a stage costs: each chunk its bytes, and again what a decode step reads of it,
 * which is all of it but for the embedding. */
static uint64_t cost_of(const struct ss_partition *cut, const struct ss_shape *shape, int stage)
{
    struct ss_image image;
    uint64_t cost = 0;
    cr_assert_eq(ss_partition_image(cut, shape, stage, 0, &image), SS_OK);
    for (int i = 0; i < image.chunk_count; i++)
        cost += image.chunks[i].bytes * (image.chunks[i].kind == SS_CHUNK_EMBEDDING ? 1 : 2);
    ss_image_release(&image);
    return cost;
}

static uint64_t dearest(const struct ss_partition *cut, const struct ss_shape *shape)
{
    uint64_t most = 0;
    for (int stage = 0; stage < cut->pp; stage++) {
        uint64_t cost = cost_of(cut, shape, stage);
        most = cost > most ? cost : most;
    }
    return most;
}

/* The least dearest stage of all ways to place the cuts from STAGE on. */
static uint64_t least_of_all(struct ss_partition *cut, const struct ss_shape *shape, int stage)
{
    if (stage == cut->pp)
        return dearest(cut, shape);
    uint64_t least = UINT64_MAX;
    uint32_t last = shape->layers - (uint32_t)(cut->pp - stage);
    for (uint32_t at = cut->first_layer[stage - 1] + 1; at <= last; at++) {
        cut->first_layer[stage] = at;
        uint64_t cost = least_of_all(cut, shape, stage + 1);
        least = cost < least ? cost : least;
    }
    return least;
}

Test(models_partition, no_other_split_has_a_smaller_dearest_stage)
{
    static const char *const changes[] = {
        "{'num_hidden_layers': 7}",
        "{'num_hidden_layers': 9, 'vocab_size': 4000}",
        "{'num_hidden_layers': 6, 'vocab_size': 40000, 'tie_word_embeddings': true}",
        "{'num_hidden_layers': 8, 'vocab_size': 2000, 'tie_word_embeddings': true}",
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct ss_shape shape = accept_changed(llama_config, changes[i]);
        for (int pp = 1; pp <= 5; pp++) {
            struct ss_partition cut, other = {.tp = 2, .pp = pp};
            cr_assert_eq(ss_partition_make(&shape, 2, pp, &cut), SS_OK);
            other.first_layer[pp] = shape.layers;
            cr_assert_eq(dearest(&cut, &shape), least_of_all(&other, &shape, 1), "%s pp %d",
                         changes[i], pp);
        }
    }
}

Test(models_partition, a_large_head_gets_fewer_layers_beside_it)
{
    struct ss_shape shape =
        accept_changed(llama_config, "{'num_hidden_layers': 8, 'vocab_size': 2000}");
    struct ss_partition cut;
    cr_assert_eq(ss_partition_make(&shape, 1, 2, &cut), SS_OK);
    cr_assert_gt(cut.first_layer[1], 4);
}

static void refuse(const char *config, const char *changes, int tp, int pp, const char *message)
{
    struct ss_shape shape = accept_changed(config, changes);
    struct ss_partition cut = {.tp = 77};
    cr_assert_eq(ss_partition_make(&shape, tp, pp, &cut), SS_INVALID);
    cr_assert_eq(cut.tp, 77);
    cr_assert_str_eq(ss_status_message(), message);
}

Test(models_partition, what_cannot_be_cut_is_refused_with_the_numbers)
{
    refuse(llama_config, "{}", 3, 1, "tp 3 does not divide its 8 attention heads");
    refuse(llama_config, "{}", 8, 1, "tp 8 does not divide its 4 key-value heads");
    refuse(opt_config, "{'ffn_dim': 162}", 4, 1, "tp 4 does not divide its 162 ffn columns");
    refuse(qwen2_config, "{}", 2, 4, "its 3 layers cannot be cut into pp 4 stages");
}

Test(models_partition, kv_bytes)
{
    struct ss_shape shape = accept_changed(llama_config, "{}");
    cr_assert_eq(ss_kv_bytes_per_token_layer(&shape, 1, 4), 2 * 4 * 12 * 4);
    cr_assert_eq(ss_kv_bytes_per_token_layer(&shape, 4, 2), 2 * 1 * 12 * 2);
}
