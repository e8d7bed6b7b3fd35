/* How far guesses can be trusted: by what came of those before. */
#ifndef SS_CORE_TRUST_H
#define SS_CORE_TRUST_H

#include "engine/core/state.h"

/* So many bytes of a guess of the model, on one rank of each stage, were borne out by a request, or
 * dropped before one came. */
void ss_trust_judge(struct ss_controller *controller, const struct ss_model *model, uint64_t bytes,
                    bool right);

/* By how much what guesses promise must exceed what they evict: the share of the latest that was
 * right, squared. The best of many estimates is the one that errs most, so that where arrivals are
 * chance, guesses are likelier wrong than they look, and so are the prices of their victims. */
double ss_trust_of(const struct ss_controller *controller);

#endif
