#include "rpc/wire/reply_tables.h"

#include "rpc/reply.h"
#include "rpc/report.h"

static const struct ss_field usage_fields[] = {
    {"prompt_tokens", SS_FIELD_U32, offsetof(struct ss_usage, prompt_tokens)},
    {"completion_tokens", SS_FIELD_U32, offsetof(struct ss_usage, completion_tokens)},
};

static const struct ss_field timing_fields[] = {
    {"queue_ns", SS_FIELD_U64, offsetof(struct ss_timing, queue_ns)},
    {"first_token_ns", SS_FIELD_U64, offsetof(struct ss_timing, first_token_ns)},
    {"total_ns", SS_FIELD_U64, offsetof(struct ss_timing, total_ns)},
    {"cold", SS_FIELD_BOOL, offsetof(struct ss_timing, cold)},
};

static const struct ss_field status_fields[] = {
    {"version", SS_FIELD_NAME, offsetof(struct ss_server_status, version)},
    {"uptime_ns", SS_FIELD_U64, offsetof(struct ss_server_status, uptime_ns)},
    {"accepted", SS_FIELD_U64, offsetof(struct ss_server_status, accepted)},
    {"answered", SS_FIELD_U64, offsetof(struct ss_server_status, answered)},
    {"refused", SS_FIELD_U64, offsetof(struct ss_server_status, refused)},
    {"queued", SS_FIELD_U64, offsetof(struct ss_server_status, queued)},
    {"running", SS_FIELD_U64, offsetof(struct ss_server_status, running)},
    {"loads", SS_FIELD_U64, offsetof(struct ss_server_status, loads)},
    {"guesses", SS_FIELD_U64, offsetof(struct ss_server_status, guesses)},
    {"drops", SS_FIELD_U64, offsetof(struct ss_server_status, drops)},
    {"bytes_loaded", SS_FIELD_U64, offsetof(struct ss_server_status, bytes_loaded)},
    {"bytes_copied_back", SS_FIELD_U64, offsetof(struct ss_server_status, bytes_copied_back)},
    {"load_ns", SS_FIELD_U64, offsetof(struct ss_server_status, load_ns)},
    {"hidden_ns", SS_FIELD_U64, offsetof(struct ss_server_status, hidden_ns)},
    {"draining", SS_FIELD_BOOL, offsetof(struct ss_server_status, draining)},
};

static const struct ss_field model_report_fields[] = {
    {"name", SS_FIELD_NAME, offsetof(struct ss_model_report, name)},
    {"family", SS_FIELD_NAME, offsetof(struct ss_model_report, family)},
    {"state", SS_FIELD_MODEL_STATE, offsetof(struct ss_model_report, state)},
    {"total_bytes", SS_FIELD_U64, offsetof(struct ss_model_report, total_bytes)},
    {"resident_bytes", SS_FIELD_U64, offsetof(struct ss_model_report, resident_bytes)},
    {"chunks", SS_FIELD_U64, offsetof(struct ss_model_report, chunks)},
    {"resident_chunks", SS_FIELD_U64, offsetof(struct ss_model_report, resident_chunks)},
    {"queued", SS_FIELD_U64, offsetof(struct ss_model_report, queued)},
    {"running", SS_FIELD_U64, offsetof(struct ss_model_report, running)},
    {"answered", SS_FIELD_U64, offsetof(struct ss_model_report, answered)},
    {"loads", SS_FIELD_U64, offsetof(struct ss_model_report, loads)},
    {"tokens", SS_FIELD_U64, offsetof(struct ss_model_report, tokens)},
};

static const struct ss_field rank_report_fields[] = {
    {"rank", SS_FIELD_U32, offsetof(struct ss_rank_report, rank)},
    {"stage", SS_FIELD_U32, offsetof(struct ss_rank_report, stage)},
    {"tp", SS_FIELD_U32, offsetof(struct ss_rank_report, tp)},
    {"device", SS_FIELD_NAME, offsetof(struct ss_rank_report, device)},
    {"host", SS_FIELD_NAME, offsetof(struct ss_rank_report, host)},
    {"pool_bytes", SS_FIELD_U64, offsetof(struct ss_rank_report, pool_bytes)},
    {"pool_used_bytes", SS_FIELD_U64, offsetof(struct ss_rank_report, pool_used_bytes)},
    {"bytes_loaded", SS_FIELD_U64, offsetof(struct ss_rank_report, bytes_loaded)},
    {"busy", SS_FIELD_SHARE, offsetof(struct ss_rank_report, busy)},
};

static const struct ss_field model_info_fields[] = {
    {"name", SS_FIELD_NAME, offsetof(struct ss_model_info, name)},
    {"family", SS_FIELD_NAME, offsetof(struct ss_model_info, family)},
    {"state", SS_FIELD_MODEL_STATE, offsetof(struct ss_model_info, state)},
    {"total_bytes", SS_FIELD_U64, offsetof(struct ss_model_info, total_bytes)},
    {"context_tokens", SS_FIELD_U32, offsetof(struct ss_model_info, context_tokens)},
    {"vocab_tokens", SS_FIELD_U32, offsetof(struct ss_model_info, vocab_tokens)},
    {"text", SS_FIELD_BOOL, offsetof(struct ss_model_info, text)},
};

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof((fields)[0]))

const struct ss_field_table ss_usage_table = {usage_fields, FIELD_COUNT(usage_fields)};
const struct ss_field_table ss_timing_table = {timing_fields, FIELD_COUNT(timing_fields)};
const struct ss_field_table ss_status_table = {status_fields, FIELD_COUNT(status_fields)};
const struct ss_field_table ss_model_report_table = {model_report_fields,
                                                     FIELD_COUNT(model_report_fields)};
const struct ss_field_table ss_rank_report_table = {rank_report_fields,
                                                    FIELD_COUNT(rank_report_fields)};
const struct ss_field_table ss_model_info_table = {model_info_fields,
                                                   FIELD_COUNT(model_info_fields)};
