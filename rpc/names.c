/* The words of the protocol. */
#include "rpc/report.h"
#include "rpc/request.h"

#include "engine/base/assert.h"

const char *ss_op_name(enum ss_op op)
{
    static const char *const names[SS_OPS] = {
        [SS_OP_SUBMIT] = "submit", [SS_OP_CANCEL] = "cancel",     [SS_OP_STATUS] = "status",
        [SS_OP_MODELS] = "models", [SS_OP_LOAD] = "load",         [SS_OP_DROP] = "drop",
        [SS_OP_DRAIN] = "drain",   [SS_OP_SHUTDOWN] = "shutdown",
    };
    SS_ASSERT((unsigned)op < SS_OPS);
    return names[op];
}

const char *ss_class_name(enum ss_class class)
{
    static const char *const names[SS_CLASSES] = {
        [SS_CLASS_REALTIME] = "realtime",
        [SS_CLASS_NORMAL] = "normal",
        [SS_CLASS_BATCH] = "batch",
    };
    SS_ASSERT((unsigned)class < SS_CLASSES);
    return names[class];
}

const char *ss_error_code_name(enum ss_error_code code)
{
    static const char *const names[SS_ERROR_CODES] = {
        [SS_ERROR_BAD_REQUEST] = "bad_request",
        [SS_ERROR_UNSUPPORTED_VERSION] = "unsupported_version",
        [SS_ERROR_UNSUPPORTED] = "unsupported",
        [SS_ERROR_UNKNOWN_MODEL] = "unknown_model",
        [SS_ERROR_TOO_LONG] = "too_long",
        [SS_ERROR_OVERLOADED] = "overloaded",
        [SS_ERROR_DEADLINE_EXCEEDED] = "deadline_exceeded",
        [SS_ERROR_DRAINING] = "draining",
        [SS_ERROR_CANCELLED] = "cancelled",
        [SS_ERROR_BUSY] = "busy",
        [SS_ERROR_INTERNAL] = "internal",
    };
    SS_ASSERT((unsigned)code < SS_ERROR_CODES);
    return names[code];
}

const char *ss_finish_reason_name(enum ss_finish_reason reason)
{
    static const char *const names[SS_FINISH_REASONS] = {
        [SS_FINISH_LENGTH] = "length",
        [SS_FINISH_STOP] = "stop",
        [SS_FINISH_EOS] = "eos",
        [SS_FINISH_CANCELLED] = "cancelled",
    };
    SS_ASSERT((unsigned)reason < SS_FINISH_REASONS);
    return names[reason];
}

const char *ss_model_state_name(enum ss_model_state state)
{
    static const char *const names[SS_MODEL_STATES] = {
        [SS_MODEL_ABSENT] = "absent",
        [SS_MODEL_LOADING] = "loading",
        [SS_MODEL_PARTIAL] = "partial",
        [SS_MODEL_RESIDENT] = "resident",
    };
    SS_ASSERT((unsigned)state < SS_MODEL_STATES);
    return names[state];
}
