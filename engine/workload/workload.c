#include "engine/workload/workload.h"

#include <string.h>

#include "engine/base/memory.h"
#include "engine/config/document.h"

#define DAY_NS       86400000000000ull
#define ANY_MAX      UINT64_MAX
#define TOKENS_MAX   (1u << 20)
#define RATE_MAX     10000000
#define DWELL_MIN_NS 1000000ull

/* What the file says, before it is put in order. */
struct stream_keys {
    struct ss_texts models;
    struct ss_reals gamma_rates, poisson_rates, mmpp_rates;
    struct ss_times dwell;
    double gamma_cv, zipf_rate, zipf_skew, zipf_cv, cyclic_rate, cyclic_cv, trace_skew, speed;
    uint32_t clients;
    uint64_t think_ns, deadline_ns, from_ns, until_ns;
    char *trace_csv, *replay_csv, *class;
    struct ss_length prompt, output;
};

struct file_keys {
    struct ss_workload *workload;
    uint64_t duration_ns, requests, deadline_ns;
    struct ss_length prompt, output;
    char *class;
};

#define AT(field) offsetof(struct file_keys, field)
#define OF(field) offsetof(struct stream_keys, field)

/* The order is that of configs/workloads/README.md. */
static const struct ss_key keys[] = {
    {"duration", SS_KEY_TIME, AT(duration_ns), NULL, "until `requests`", 1, 366 * DAY_NS, NULL,
     "arrivals stop then; what was accepted is still answered"},
    {"requests", SS_KEY_U64, AT(requests), NULL, "until `duration`", 1, ANY_MAX, NULL,
     "arrivals stop after so many, over all streams"},
    {"prompt.tokens", SS_KEY_U32, AT(prompt.tokens), NULL, "8, without `median`", 1, TOKENS_MAX,
     NULL, "every prompt has so many"},
    {"prompt.median", SS_KEY_REAL, AT(prompt.median), NULL, "all have `tokens`", 1, TOKENS_MAX,
     NULL, "lengths are lognormal around this"},
    {"prompt.sigma", SS_KEY_REAL, AT(prompt.sigma), "1", NULL, 0, 10, NULL,
     "standard deviation of the lengths' logarithm"},
    {"prompt.max", SS_KEY_U32, AT(prompt.max), NULL, "no limit", 1, TOKENS_MAX, NULL,
     "longer ones are cut to this, those of a trace too"},
    {"output.tokens", SS_KEY_U32, AT(output.tokens), NULL, "1, without `median`", 1, TOKENS_MAX,
     NULL, "every answer has so many"},
    {"output.median", SS_KEY_REAL, AT(output.median), NULL, "all have `tokens`", 1, TOKENS_MAX,
     NULL, "as for prompts"},
    {"output.sigma", SS_KEY_REAL, AT(output.sigma), "1", NULL, 0, 10, NULL, "as for prompts"},
    {"output.max", SS_KEY_U32, AT(output.max), NULL, "no limit", 1, TOKENS_MAX, NULL,
     "as for prompts"},
    {"class", SS_KEY_CHOICE, AT(class), "normal", NULL, 0, 0, "realtime|normal|batch",
     "of all requests"},
    {"deadline", SS_KEY_TIME, AT(deadline_ns), "0", NULL, 0, DAY_NS, NULL,
     "of each request, after its arrival; 0: none"},

    {"streams[].models", SS_KEY_TEXTS, OF(models), NULL, "all of the config", 1, SS_LIST_MAX, NULL,
     "names, in order; one that ends in `*` stands for all that begin so"},
    {"streams[].gamma.rate", SS_KEY_REALS, OF(gamma_rates), NULL, "none", 1, SS_LIST_MAX, NULL,
     "gaps are gamma: requests a second of each model, one number for all or one for each, of "
     "which some may be 0"},
    {"streams[].gamma.cv", SS_KEY_REAL, OF(gamma_cv), "1", NULL, 0, 100, NULL,
     "coefficient of variation of the gaps; 0: all alike, 1: Poisson"},
    {"streams[].poisson.rate", SS_KEY_REALS, OF(poisson_rates), NULL, "none", 1, SS_LIST_MAX, NULL,
     "gaps are exponential: as `gamma.rate`"},
    {"streams[].mmpp.rates", SS_KEY_REALS, OF(mmpp_rates), NULL, "none", 1, SS_LIST_MAX, NULL,
     "Markov-modulated Poisson: requests a second of each model in each of its states, which "
     "follow "
     "each other in turn, each model for itself"},
    {"streams[].mmpp.dwell", SS_KEY_TIMES, OF(dwell), NULL, "none", 1, SS_LIST_MAX, NULL,
     "mean time in each state, exponential"},
    {"streams[].zipf.rate", SS_KEY_REAL, OF(zipf_rate), NULL, "none", 0, RATE_MAX, NULL,
     "requests a second of all models together; the k-th has a share of 1 / k^skew"},
    {"streams[].zipf.skew", SS_KEY_REAL, OF(zipf_skew), "1", NULL, 0, 10, NULL,
     "0: all have the same share"},
    {"streams[].zipf.cv", SS_KEY_REAL, OF(zipf_cv), "1", NULL, 0, 100, NULL, "as `gamma.cv`"},
    {"streams[].cyclic.rate", SS_KEY_REAL, OF(cyclic_rate), NULL, "none", 0, RATE_MAX, NULL,
     "requests a second, to the models in turn"},
    {"streams[].cyclic.cv", SS_KEY_REAL, OF(cyclic_cv), "0", NULL, 0, 100, NULL, "as `gamma.cv`"},
    {"streams[].turns.clients", SS_KEY_U32, OF(clients), NULL, "none", 1, 65536, NULL,
     "closed loop: so many requests at once, each to the next model in turn, sent when an earlier "
     "one was answered"},
    {"streams[].turns.think", SS_KEY_TIME, OF(think_ns), "0", NULL, 0, DAY_NS, NULL,
     "time between an answer and the next request; after a refusal 100ms or more"},
    {"streams[].trace.csv", SS_KEY_PATH, OF(trace_csv), NULL, "none", 0, 0, NULL,
     "an Azure LLM inference trace: TIMESTAMP,ContextTokens,GeneratedTokens"},
    {"streams[].trace.skew", SS_KEY_REAL, OF(trace_skew), "0", NULL, 0, 10, NULL,
     "rows go to models at random, with shares as for `zipf`"},
    {"streams[].trace.speed", SS_KEY_REAL, OF(speed), "1", NULL, 0, 1000000, NULL,
     "times are divided by this"},
    {"streams[].replay.csv", SS_KEY_PATH, OF(replay_csv), NULL, "none", 0, 0, NULL,
     "arrivals as `swapsim --save-arrivals` writes them"},
    {"streams[].prompt.tokens", SS_KEY_U32, OF(prompt.tokens), NULL, "the file's `prompt`", 1,
     TOKENS_MAX, NULL, "of this stream"},
    {"streams[].prompt.median", SS_KEY_REAL, OF(prompt.median), NULL, "the file's `prompt`", 1,
     TOKENS_MAX, NULL, "of this stream"},
    {"streams[].prompt.sigma", SS_KEY_REAL, OF(prompt.sigma), "1", NULL, 0, 10, NULL,
     "of this stream"},
    {"streams[].prompt.max", SS_KEY_U32, OF(prompt.max), NULL, "the file's `prompt.max`", 1,
     TOKENS_MAX, NULL, "of this stream"},
    {"streams[].output.tokens", SS_KEY_U32, OF(output.tokens), NULL, "the file's `output`", 1,
     TOKENS_MAX, NULL, "of this stream"},
    {"streams[].output.median", SS_KEY_REAL, OF(output.median), NULL, "the file's `output`", 1,
     TOKENS_MAX, NULL, "of this stream"},
    {"streams[].output.sigma", SS_KEY_REAL, OF(output.sigma), "1", NULL, 0, 10, NULL,
     "of this stream"},
    {"streams[].output.max", SS_KEY_U32, OF(output.max), NULL, "the file's `output.max`", 1,
     TOKENS_MAX, NULL, "of this stream"},
    {"streams[].class", SS_KEY_CHOICE, OF(class), NULL, "the file's", 0, 0, "realtime|normal|batch",
     "of this stream"},
    {"streams[].deadline", SS_KEY_TIME, OF(deadline_ns), NULL, "the file's", 0, DAY_NS, NULL,
     "of this stream"},
    {"streams[].from", SS_KEY_TIME, OF(from_ns), "0", NULL, 0, 366 * DAY_NS, NULL,
     "when the stream begins"},
    {"streams[].until", SS_KEY_TIME, OF(until_ns), NULL, "the end", 1, 366 * DAY_NS, NULL,
     "when it ends"},
};

const struct ss_schema ss_workload_schema = {
    .document = "a workload (see configs/workloads)",
    .keys = keys,
    .key_count = sizeof keys / sizeof keys[0],
    .list = "streams",
    .item = "stream",
    .item_bytes = sizeof(struct stream_keys),
    .items_max = SS_STREAMS_MAX,
};
_Static_assert(sizeof keys / sizeof keys[0] <= SS_KEYS_MAX, "SS_KEYS_MAX is too small");

static const char *const kind_names[SS_ARRIVAL_KINDS] = {"gamma",  "poisson", "mmpp",  "zipf",
                                                         "cyclic", "turns",   "trace", "replay"};
static const char *const needed_keys[SS_ARRIVAL_KINDS] = {
    "gamma.rate",  "poisson.rate",  "mmpp.rates", "zipf.rate",
    "cyclic.rate", "turns.clients", "trace.csv",  "replay.csv"};

/* The one kind that stream INDEX has; SS_ARRIVAL_KINDS and a mistake where there is none or more.
 */
static enum ss_arrival_kind kind_of(struct ss_reading *r, int index)
{
    enum ss_arrival_kind found = SS_ARRIVAL_KINDS;

    for (int kind = 0; kind < SS_ARRIVAL_KINDS; kind++) {
        if (!ss_item_has(r, index, kind_names[kind]))
            continue;
        if (found != SS_ARRIVAL_KINDS) {
            ss_item_note(r, index, kind_names[kind], "found beside %s, expected one of the two",
                         kind_names[found]);
            return SS_ARRIVAL_KINDS;
        }
        found = (enum ss_arrival_kind)kind;
    }
    if (found == SS_ARRIVAL_KINDS && r->item_nodes[index]->kind == SS_YAML_MAP)
        ss_item_note(r, index, "gamma",
                     "found no arrivals, expected one of: gamma, poisson, mmpp, zipf, cyclic, "
                     "turns, trace, replay");
    return found;
}

static enum ss_class class_of(const char *name)
{
    if (strcmp(name, "realtime") == 0)
        return SS_CLASS_REALTIME;
    return strcmp(name, "batch") == 0 ? SS_CLASS_BATCH : SS_CLASS_NORMAL;
}

static struct ss_length length_of(const struct ss_length *own, const struct ss_length *whole,
                                  uint32_t fallback)
{
    struct ss_length length = own->tokens > 0 || own->median > 0 ? *own : *whole;

    if (length.tokens == 0 && length.median == 0)
        length.tokens = fallback;
    length.max = own->max > 0 ? own->max : whole->max;
    return length;
}

/* Some model is asked, in some state: others may have the rate 0. */
static bool has_rate(const struct ss_reals *rates)
{
    for (uint64_t i = 0; i < rates->count; i++)
        if (rates->items[i] > 0)
            return true;
    return false;
}

/* States that last no time, or in which nothing comes, would never lead to an arrival. */
static void check_states(struct ss_reading *r, int index, const struct stream_keys *from)
{
    if (from->mmpp_rates.count == 0)
        return;
    if (from->dwell.count != from->mmpp_rates.count)
        ss_item_note(r, index, "mmpp.dwell", "found %d times, expected one for each of %d rates",
                     (int)from->dwell.count, (int)from->mmpp_rates.count);
    for (uint64_t i = 0; i < from->dwell.count; i++)
        if (from->dwell.items[i] < DWELL_MIN_NS)
            ss_item_note(r, index, "mmpp.dwell", "found %g s, expected 1ms at least",
                         (double)from->dwell.items[i] / 1e9);
    if (!has_rate(&from->mmpp_rates))
        ss_item_note(r, index, "mmpp.rates", "found 0 in every state, expected more in one");
}

/* True where what the kind needs is there; a mistake otherwise. */
static bool is_complete(struct ss_reading *r, int index, const struct stream_keys *from,
                        enum ss_arrival_kind kind)
{
    bool there = false;

    switch (kind) {
    case SS_ARRIVE_GAMMA:
        there = has_rate(&from->gamma_rates);
        break;
    case SS_ARRIVE_POISSON:
        there = has_rate(&from->poisson_rates);
        break;
    case SS_ARRIVE_MMPP:
        there = from->mmpp_rates.count > 0;
        check_states(r, index, from);
        break;
    case SS_ARRIVE_ZIPF:
        there = from->zipf_rate > 0;
        break;
    case SS_ARRIVE_CYCLIC:
        there = from->cyclic_rate > 0;
        break;
    case SS_ARRIVE_TURNS:
        there = from->clients > 0;
        break;
    case SS_ARRIVE_TRACE:
        there = from->trace_csv != NULL;
        break;
    case SS_ARRIVE_REPLAY:
        there = from->replay_csv != NULL;
        break;
    case SS_ARRIVAL_KINDS:
        return false;
    }
    if (!there && r->mistakes->count == 0)
        ss_item_note(r, index, needed_keys[kind], "found nothing, or 0, expected it above that");
    return there;
}

/* Takes the texts of FROM. */
static void settle_stream(struct ss_reading *r, int index, struct stream_keys *from,
                          struct ss_arrival_stream *to)
{
    const struct file_keys *file = r->base;

    *to = (struct ss_arrival_stream){
        .kind = kind_of(r, index),
        .models = from->models,
        .dwell = from->dwell,
        .clients = from->clients,
        .think_ns = from->think_ns,
        .speed = from->speed,
        .prompt = length_of(&from->prompt, &file->prompt, 8),
        .output = length_of(&from->output, &file->output, 1),
        .class = class_of(from->class ? from->class : file->class),
        .deadline_ns = ss_item_has(r, index, "deadline") ? from->deadline_ns : file->deadline_ns,
        .from_ns = from->from_ns,
        .until_ns = from->until_ns ? from->until_ns : UINT64_MAX,
        .line = r->item_nodes[index]->line};
    from->models.count = 0;
    if (!is_complete(r, index, from, to->kind))
        return;
    to->rates = to->kind == SS_ARRIVE_GAMMA     ? from->gamma_rates
                : to->kind == SS_ARRIVE_POISSON ? from->poisson_rates
                                                : from->mmpp_rates;
    to->cv = to->kind == SS_ARRIVE_GAMMA    ? from->gamma_cv
             : to->kind == SS_ARRIVE_CYCLIC ? from->cyclic_cv
                                            : from->zipf_cv;
    to->rate = to->kind == SS_ARRIVE_ZIPF ? from->zipf_rate : from->cyclic_rate;
    to->skew = to->kind == SS_ARRIVE_ZIPF ? from->zipf_skew : from->trace_skew;
    to->csv = to->kind == SS_ARRIVE_TRACE ? from->trace_csv : from->replay_csv;
    if (to->csv == from->trace_csv)
        from->trace_csv = NULL;
    else
        from->replay_csv = NULL;
    if (to->kind == SS_ARRIVE_TRACE && !(to->speed > 0))
        ss_item_note(r, index, "trace.speed", "found 0, expected a number above it");
}

static enum ss_status finish(struct ss_reading *r)
{
    struct file_keys *file = r->base;
    struct ss_workload *workload = file->workload;
    bool endless = file->duration_ns == 0 && file->requests == 0;
    enum ss_status status = ss_alloc(&workload->streams, (size_t)r->item_count,
                                     sizeof *workload->streams, "the streams of a workload");

    if (status != SS_OK)
        return status;
    workload->duration_ns = file->duration_ns;
    workload->requests = file->requests;
    for (int i = 0; i < r->item_count; i++) {
        struct stream_keys *from = (struct stream_keys *)r->items + i;
        struct ss_arrival_stream *to = &workload->streams[i];

        settle_stream(r, i, from, to);
        workload->stream_count++;
        if (endless && to->kind != SS_ARRIVE_TRACE && to->kind != SS_ARRIVE_REPLAY &&
            r->mistakes->count == 0)
            ss_mistakes_add(
                r->mistakes, 1, 1, "duration",
                "found neither duration nor requests, expected one of them: streams[%d] "
                "has no end of its own",
                i);
    }
    return SS_OK;
}

static enum ss_status read_from(const struct ss_document_source *from, FILE *mistakes,
                                struct ss_workload **out)
{
    struct file_keys file = {0};
    enum ss_status status = ss_alloc(&file.workload, 1, sizeof *file.workload, "a workload");

    if (status != SS_OK)
        return status;
    status = ss_strdup(&file.workload->path, from->path);
    if (status == SS_OK)
        status = ss_document_read(&ss_workload_schema, from, mistakes, &file, finish);
    ss_document_release(&ss_workload_schema, &file);
    if (status == SS_OK)
        *out = file.workload;
    else
        ss_workload_destroy(file.workload);
    return status;
}

enum ss_status ss_workload_read(const char *path, FILE *mistakes, struct ss_workload **out)
{
    return read_from(&(struct ss_document_source){.path = path}, mistakes, out);
}

enum ss_status ss_workload_read_text(const char *path, const char *folder, const char *text,
                                     size_t bytes, FILE *mistakes, struct ss_workload **out)
{
    return read_from(
        &(struct ss_document_source){.path = path, .folder = folder, .text = text, .bytes = bytes},
        mistakes, out);
}

enum ss_status ss_workload_of_list(const char *path, struct ss_workload **out)
{
    struct ss_workload *workload;
    enum ss_status status = ss_alloc(&workload, 1, sizeof *workload, "a workload");

    if (status != SS_OK)
        return status;
    status = ss_strdup(&workload->path, path);
    if (status == SS_OK)
        status = ss_alloc(&workload->streams, 1, sizeof *workload->streams, "a stream");
    if (status == SS_OK) {
        workload->stream_count = 1;
        workload->streams[0] = (struct ss_arrival_stream){
            .kind = SS_ARRIVE_REPLAY, .speed = 1, .until_ns = UINT64_MAX};
        status = ss_strdup(&workload->streams[0].csv, path);
    }
    if (status == SS_OK)
        *out = workload;
    else
        ss_workload_destroy(workload);
    return status;
}

void ss_workload_destroy(struct ss_workload *workload)
{
    if (workload == NULL)
        return;
    for (int i = 0; i < workload->stream_count; i++) {
        struct ss_arrival_stream *stream = &workload->streams[i];

        for (uint64_t text = 0; text < stream->models.count; text++)
            ss_free(stream->models.items[text]);
        ss_free(stream->csv);
    }
    ss_free(workload->streams);
    ss_free(workload->path);
    ss_free(workload);
}

void ss_workload_scale(struct ss_workload *workload, double factor)
{
    for (int i = 0; i < workload->stream_count; i++) {
        struct ss_arrival_stream *stream = &workload->streams[i];

        for (uint64_t rate = 0; rate < stream->rates.count; rate++)
            stream->rates.items[rate] *= factor;
        stream->rate *= factor;
        stream->speed *= factor;
    }
}

void ss_workload_set_cv(struct ss_workload *workload, double cv)
{
    for (int i = 0; i < workload->stream_count; i++)
        workload->streams[i].cv = cv;
}
