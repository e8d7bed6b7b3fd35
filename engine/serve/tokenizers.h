/* The tokenizers of a catalog's models; only the rank that speaks to clients has them. */
#ifndef SS_ENGINE_TOKENIZERS_H
#define SS_ENGINE_TOKENIZERS_H

#include <stdio.h>

#include "engine/base/status.h"
#include "engine/serve/catalog.h"
#include "pipeline/text/tokenizer.h"

/* Opens each model's: the one that the config names, else the one in its folder; null in *OUT where
 * there is none. A model whose tokenizer asks for what is not supported is still served, by token
 * ids: a warning says so. Every mistake of every model is written to MISTAKES, a line each, with
 * the config's line; the status message counts them. *OUT is for ss_tokenizers_close(). */
SS_MUST_CHECK enum ss_status ss_tokenizers_open(const struct ss_catalog *catalog, FILE *mistakes,
                                                struct ss_tokenizer ***out);

/* TOKENIZERS of CATALOG; null is allowed. */
void ss_tokenizers_close(struct ss_tokenizer **tokenizers, const struct ss_catalog *catalog);

#endif
