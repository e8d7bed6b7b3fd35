#include "engine/core/admission.h"

#include "engine/core/ending.h"
#include "engine/core/estimate.h"
#include "engine/core/model.h"
#include "engine/core/sequence.h"

/* Why the request cannot be accepted; SS_END_KINDS: it can. */
static enum ss_end objection(const struct ss_controller *controller, const struct ss_event *event)
{
    const struct ss_model *model = &controller->models[event->model];
    if (controller->lost)
        return SS_END_RANK_LOST;
    if (controller->draining)
        return SS_END_DRAINING;
    if ((uint64_t)event->prompt_tokens + event->max_tokens > model->context_max)
        return SS_END_TOO_LONG;
    if (event->deadline_ns != 0 &&
        (event->deadline_ns <= controller->now_ns ||
         event->deadline_ns - controller->now_ns < ss_estimate_least_ns(controller, event)))
        return SS_END_DEADLINE;
    if (controller->accepted_now == controller->limits.requests_max ||
        model->queued >= controller->limits.queue_max_per_model)
        return SS_END_OVERLOADED;
    return SS_END_KINDS;
}

void ss_admission_arrive(struct ss_controller *controller, const struct ss_event *event)
{
    SS_ASSERT(event->model < controller->model_count);
    SS_ASSERT(event->prompt_tokens > 0 && event->max_tokens > 0);
    SS_ASSERT(event->class < SS_CLASSES);
    enum ss_end reason = objection(controller, event);
    if (reason != SS_END_KINDS) {
        uint64_t least_ns = reason == SS_END_DEADLINE ? ss_estimate_least_ns(controller, event) : 0;
        controller->refused++;
        ss_outbox_outcome(&controller->outbox, (struct ss_outcome){.kind = SS_ACTION_REFUSE,
                                                                   .request = event->request,
                                                                   .reason = (uint8_t)reason,
                                                                   .least_ns = least_ns});
        return;
    }
    const struct ss_model *model = &controller->models[event->model];
    uint32_t index =
        ss_sequence_add(controller, event->request, event->model, (enum ss_class)event->class);
    struct ss_sequence *sequence = &controller->sequences[index];
    ss_model_note_arrival(controller, event->model);
    sequence->prompt = event->prompt_tokens;
    sequence->tokens_max = event->max_tokens;
    sequence->cold =
        !ss_model_is_loaded(controller, model) || model->chunks_in[SS_CHUNK_LOADING] > 0;
    if (event->deadline_ns != 0)
        ss_deadlines_add(&controller->deadlines, index, event->deadline_ns);
    controller->accepted++;
    controller->accepted_now++;
    controller->accepted_by_class[event->class]++;
}

void ss_admission_cancel(struct ss_controller *controller, uint64_t handle, enum ss_end reason)
{
    uint32_t index = ss_handle_map_find(&controller->handles, handle);
    if (index != SS_NO_INDEX)
        ss_ending_end(controller, index, reason);
}

bool ss_admission_expire(struct ss_controller *controller)
{
    uint32_t index;
    bool any = false;
    while (ss_deadlines_first(&controller->deadlines, &index) <= controller->now_ns) {
        ss_ending_end(controller, index, SS_END_DEADLINE);
        any = true;
    }
    return any;
}
