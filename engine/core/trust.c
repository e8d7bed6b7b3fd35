#include "engine/core/trust.h"

/* What came of the latest guesses is remembered for about as many models' worth of them; at first
 * it is as if of so many so many had been right. */
#define MEMORY      32.0
#define FIRST_RIGHT 4.0
#define FIRST_WRONG 1.0

void ss_trust_judge(struct ss_controller *controller, const struct ss_model *model, uint64_t bytes,
                    bool right)
{
    uint64_t whole = 0;
    for (int state = 0; state < SS_CHUNK_STATES; state++)
        whole += model->bytes_in[state];
    double part = whole > 0 ? (double)bytes / (double)whole : 0, kept = MEMORY / (MEMORY + part);
    controller->guesses_right = controller->guesses_right * kept + (right ? part : 0);
    controller->guesses_wrong = controller->guesses_wrong * kept + (right ? 0 : part);
}

double ss_trust_of(const struct ss_controller *controller)
{
    double right = FIRST_RIGHT + controller->guesses_right;
    double share = right / (right + FIRST_WRONG + controller->guesses_wrong);
    return share * share;
}
