#include "engine/core/class_share.h"

#include "engine/base/clock.h"
#include "engine/core/precedence.h"

#define STEP_UNKNOWN_NS SS_NS_PER_MS
#define SHARE_DEFAULT   0.8
#define SHARE_MAX       0.99

double ss_class_share_of(const struct ss_controller *controller)
{
    double share = controller->limits.realtime_share;
    if (share <= 0)
        return SHARE_DEFAULT;
    return share < SHARE_MAX ? share : SHARE_MAX;
}

/* Realtime before normal before batch; a class that yields goes behind all below it. */
static void set_levels(struct ss_controller *controller)
{
    bool realtime = controller->class_yields[SS_CLASS_REALTIME];
    bool normal = controller->class_yields[SS_CLASS_NORMAL];
    uint8_t *levels = controller->class_levels, level = SS_LEVEL_CLASSES;
    if (!realtime)
        levels[SS_CLASS_REALTIME] = level++;
    levels[normal ? SS_CLASS_BATCH : SS_CLASS_NORMAL] = level++;
    levels[normal ? SS_CLASS_NORMAL : SS_CLASS_BATCH] = level++;
    if (realtime)
        levels[SS_CLASS_REALTIME] = level;
}

void ss_class_share_reset(struct ss_controller *controller)
{
    for (int class = 0; class < SS_CLASSES; class ++) {
        controller->class_debts_ns[class] = 0;
        controller->class_yields[class] = false;
    }
    set_levels(controller);
}

/* Room follows the order of classes: an order that has brought nobody on stays, or two classes
 * could forever take each other's. */
static void judge(struct ss_controller *controller, int class, double most_ns, bool alone)
{
    double debt_ns = controller->class_debts_ns[class];
    bool *yields = &controller->class_yields[class];
    bool should = *yields ? debt_ns > 0 : debt_ns > 0 && debt_ns >= most_ns;
    if (should == *yields || (!controller->class_order_served[class] && !alone))
        return;
    *yields = should;
    controller->class_order_served[class] = false;
}

static void charge(struct ss_controller *controller, enum ss_class served, double ns, bool gets_on)
{
    double share = ss_class_share_of(controller);
    double most_ns = (double)controller->limits.quantum_ns * (1 - share);
    uint32_t below = 0;
    for (int class = SS_CLASSES - 2; class >= 0; class --) {
        double *debt_ns = &controller->class_debts_ns[class];
        below += controller->accepted_by_class[class + 1];
        if (served == (enum ss_class) class)
            *debt_ns += ns * (1 - share);
        else if (served > (enum ss_class) class)
            *debt_ns -= ns * share;
        if (below == 0 || *debt_ns < 0)
            *debt_ns = 0;
        if (*debt_ns > most_ns)
            *debt_ns = most_ns;
        bool first = controller->class_yields[class] ? served > (enum ss_class) class
                                                     : served == (enum ss_class) class;
        controller->class_order_served[class] |= first && gets_on;
        judge(controller, class, most_ns, below == 0);
    }
    set_levels(controller);
}

void ss_class_share_step(struct ss_controller *controller, enum ss_class class, uint16_t model,
                         uint64_t ns, bool gets_on)
{
    double share = ss_class_share_of(controller), took_ns = ns > 0 ? (double)ns : STEP_UNKNOWN_NS;
    double most_ns = (double)controller->limits.quantum_ns * (1 - share);
    controller->turn_balance_ns +=
        model == controller->turn_model ? -took_ns * share : took_ns * (1 - share);
    if (controller->turn_balance_ns > most_ns)
        controller->turn_balance_ns = most_ns;
    charge(controller, class, took_ns, gets_on);
}

void ss_class_share_load(struct ss_controller *controller, uint64_t precedence, uint64_t ns)
{
    for (int class = 0; class < SS_CLASSES; class ++)
        if (controller->class_levels[class] == ss_level_of(precedence)) {
            charge(controller, (enum ss_class) class, (double)ns, false);
            return;
        }
}
