#include "engine/core/link.h"

#include "engine/base/clock.h"

double ss_link_moved_ns(const struct ss_controller *controller, const struct ss_load *load,
                        uint16_t stage)
{
    const struct ss_load_part *part = &load->parts[stage];
    uint16_t chunk = part->chunks[part->ready];
    double since_ns = (double)(controller->now_ns - part->ready_ns);
    double chunk_ns = (double)controller->models[load->model].chunks[stage][chunk].bytes *
                      controller->byte_ns[stage];
    return since_ns < chunk_ns ? since_ns : chunk_ns;
}

double ss_link_busy_ns(const struct ss_controller *controller, uint64_t number)
{
    double longest_ns = 0;
    for (uint16_t stage = 0; controller->loads_now > 0 && stage < controller->pp; stage++) {
        const struct ss_load *first = 0;
        uint64_t bytes = 0;
        for (const struct ss_load *load = ss_link_next_load(controller, 0); load;
             load = ss_link_next_load(controller, load)) {
            if (load->number > number || load->guess || load->parts[stage].bytes_left == 0)
                continue;
            bytes += load->parts[stage].bytes_left;
            if (!first || load->number < first->number)
                first = load;
        }
        double busy_ns = (double)bytes * controller->byte_ns[stage];
        if (first)
            busy_ns -= ss_link_moved_ns(controller, first, stage);
        longest_ns = busy_ns > longest_ns ? busy_ns : longest_ns;
    }
    return longest_ns;
}

uint64_t ss_link_left_ns(const struct ss_controller *controller, const struct ss_model *model)
{
    if (model->load == SS_NONE)
        return 0;
    const struct ss_load *load = &controller->loads[model->load];
    double longest_ns = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        const struct ss_load_part *part = &load->parts[stage];
        if (part->bytes_left == 0)
            continue;
        if (part->ready == 0)
            return UINT64_MAX;
        double left_ns = (double)part->bytes_left * controller->byte_ns[stage] -
                         (double)(controller->now_ns - part->ready_ns);
        longest_ns = left_ns > longest_ns ? left_ns : longest_ns;
    }
    return (uint64_t)longest_ns;
}

uint64_t ss_link_missing_ns(const struct ss_controller *controller, const struct ss_model *model)
{
    double byte_ns = 0, stages = controller->pp;
    for (int stage = 0; stage < controller->pp; stage++)
        byte_ns += controller->byte_ns[stage] / stages;
    return (uint64_t)((double)model->bytes_in[SS_CHUNK_ABSENT] / stages * byte_ns);
}

/* Over about a model's size of what came last: small chunks, which take long for their size, count
 * for their time and bytes. The first chunk of a load may have waited for another load. */
void ss_link_learn(struct ss_controller *controller, const struct ss_load *load, uint16_t stage,
                   double bytes, double took_ns)
{
    if (bytes <= 0 || took_ns <= 0 || (load->parts[stage].ready == 0 && controller->loads_now > 1))
        return;
    double memory = (double)controller->models[load->model].largest_bytes + 1;
    double kept = memory / (memory + bytes);
    struct ss_link_seen *seen = &controller->seen[stage];
    seen->bytes = seen->bytes * kept + bytes;
    seen->ns = seen->ns * kept + took_ns;
    controller->byte_ns[stage] = seen->ns / seen->bytes;
}

void ss_link_note_load(struct ss_controller *controller, const struct ss_load *load,
                       uint64_t took_ns)
{
    uint64_t largest = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        const struct ss_load_part *part = &load->parts[stage];
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < part->count; i++)
            bytes += controller->models[load->model].chunks[stage][part->chunks[i]].bytes;
        largest = bytes > largest ? bytes : largest;
    }
    uint64_t rate = (uint64_t)((double)largest * (double)SS_NS_PER_S / (double)(took_ns + 1));
    if (rate > 0 && (controller->bytes_per_s_min == 0 || rate < controller->bytes_per_s_min))
        controller->bytes_per_s_min = rate;
    if (rate > controller->bytes_per_s_max)
        controller->bytes_per_s_max = rate;
}
