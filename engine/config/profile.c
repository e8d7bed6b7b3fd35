#include "engine/config/profile.h"

#include "engine/base/memory.h"
#include "engine/config/document.h"

#define AT(field) offsetof(struct ss_profile, field)
#define ANY_MAX   UINT64_MAX
#define SECOND_NS 1000000000ull

/* The order is that of configs/profiles/README.md. */
static const struct ss_key keys[] = {
    {"link.alone", SS_KEY_RATE_REAL, AT(link.alone_bytes_per_s), NULL, NULL, 1, ANY_MAX, NULL,
     "host to device, one rank alone, pieces of `device.piece` or larger"},
    {"link.total", SS_KEY_RATE_REAL, AT(link.total_bytes_per_s), NULL, "no limit", 1, ANY_MAX, NULL,
     "host to device, all ranks of a node that move at once together: what the host's memory "
     "gives"},
    {"link.to_host", SS_KEY_RATE_REAL, AT(link.to_host_bytes_per_s), NULL, "as `link.alone`", 1,
     ANY_MAX, NULL, "device to host, one rank alone"},
    {"link.to_host_total", SS_KEY_RATE_REAL, AT(link.to_host_total_bytes_per_s), NULL,
     "as `link.total`", 1, ANY_MAX, NULL, "device to host, all ranks at once together"},
    {"link.both", SS_KEY_RATE_REAL, AT(link.both_bytes_per_s), NULL, "no limit", 1, ANY_MAX, NULL,
     "both ways at once, one rank alone, the two together"},
    {"link.to_host_share", SS_KEY_REAL, AT(link.to_host_share), "1", NULL, 1, 100, NULL,
     "what a copy to the host gets of a rate that is short, where one to the device gets 1"},
    {"link.piece_gap", SS_KEY_TIME, AT(link.piece_gap_ns), "0", NULL, 0, SECOND_NS, NULL,
     "idle time of the link between two pieces"},

    {"compute.memory_bandwidth", SS_KEY_RATE_REAL, AT(compute.memory_bytes_per_s), NULL, NULL, 1,
     ANY_MAX, NULL, "reading weights: the floor of every step"},
    {"compute.context_bandwidth", SS_KEY_RATE_REAL, AT(compute.context_bytes_per_s), NULL,
     "as `compute.memory_bandwidth`", 1, ANY_MAX, NULL, "reading keys and values in attention"},
    {"compute.flops", SS_KEY_FLOPS, AT(compute.flops_per_s), NULL, NULL, 1, ANY_MAX, NULL,
     "what matrix products of many rows reach, attention's share included"},
    {"compute.layer_overhead", SS_KEY_TIME, AT(compute.layer_overhead_ns), "0", NULL, 0, SECOND_NS,
     NULL, "of each layer in a step, whatever its size: launches, small kernels"},
    {"compute.step_overhead", SS_KEY_TIME, AT(compute.step_overhead_ns), "0", NULL, 0, SECOND_NS,
     NULL, "of each step on each stage"},

    {"collective.latency", SS_KEY_TIME, AT(collective.latency_ns), "0", NULL, 0, SECOND_NS, NULL,
     "of one sum over the tensor-parallel ranks of a stage; a layer has two"},
    {"collective.bandwidth", SS_KEY_RATE_REAL, AT(collective.bytes_per_s), NULL, "no limit", 1,
     ANY_MAX, NULL, "bytes of one rank's operand, over the time beyond the latency"},

    {"edge.entry", SS_KEY_TIME, AT(edge.entry_ns), "0", NULL, 0, SECOND_NS, NULL,
     "an entry's way to the next stage"},
    {"edge.activation", SS_KEY_TIME, AT(edge.activation_ns), "0", NULL, 0, SECOND_NS, NULL,
     "latency of activations to the next stage, and of tokens to the first"},
    {"edge.activation_bandwidth", SS_KEY_RATE_REAL, AT(edge.activation_bytes_per_s), NULL,
     "no limit", 1, ANY_MAX, NULL, "of activations to the next stage"},
    {"edge.report", SS_KEY_TIME, AT(edge.report_ns), "0", NULL, 0, SECOND_NS, NULL,
     "a report's way to the controller"},
    {"edge.report_jitter", SS_KEY_TIME, AT(edge.report_jitter_ns), "0", NULL, 0, SECOND_NS, NULL,
     "at most this much more, at random"},
};

const struct ss_schema ss_profile_schema = {
    .document = "a profile (see configs/profiles/h200-x4.yaml)",
    .keys = keys,
    .key_count = sizeof keys / sizeof keys[0],
};

static enum ss_status finish(struct ss_reading *reading)
{
    struct ss_profile *profile = reading->base;

    if (profile->link.to_host_bytes_per_s == 0)
        profile->link.to_host_bytes_per_s = profile->link.alone_bytes_per_s;
    if (profile->link.to_host_total_bytes_per_s == 0)
        profile->link.to_host_total_bytes_per_s = profile->link.total_bytes_per_s;
    if (profile->compute.context_bytes_per_s == 0)
        profile->compute.context_bytes_per_s = profile->compute.memory_bytes_per_s;
    return SS_OK;
}

static enum ss_status read_from(const struct ss_document_source *from, FILE *mistakes,
                                struct ss_profile **out)
{
    struct ss_profile *profile;
    enum ss_status status = ss_alloc(&profile, 1, sizeof *profile, "a profile");

    if (status != SS_OK)
        return status;
    status = ss_document_read(&ss_profile_schema, from, mistakes, profile, finish);
    if (status == SS_OK)
        *out = profile;
    else
        ss_free(profile);
    return status;
}

enum ss_status ss_profile_read_text(const char *path, const char *text, size_t bytes,
                                    FILE *mistakes, struct ss_profile **out)
{
    return read_from(
        &(struct ss_document_source){.path = path, .folder = "/", .text = text, .bytes = bytes},
        mistakes, out);
}

enum ss_status ss_profile_read(const char *path, FILE *mistakes, struct ss_profile **out)
{
    return read_from(&(struct ss_document_source){.path = path}, mistakes, out);
}
