/* The tables of what a reply carries; for the two halves of its codec. */
#ifndef SS_RPC_WIRE_REPLY_TABLES_H
#define SS_RPC_WIRE_REPLY_TABLES_H

#include "rpc/wire/fields.h"

extern const struct ss_field_table ss_usage_table;
extern const struct ss_field_table ss_timing_table;
extern const struct ss_field_table ss_status_table; /* without models and ranks */
extern const struct ss_field_table ss_model_report_table;
extern const struct ss_field_table ss_rank_report_table;
extern const struct ss_field_table ss_model_info_table;

#endif
