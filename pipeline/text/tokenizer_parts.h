/* What an open tokenizer is made of; for the files of this folder. */
#ifndef SS_PIPELINE_TEXT_TOKENIZER_PARTS_H
#define SS_PIPELINE_TEXT_TOKENIZER_PARTS_H

#include <stdbool.h>

#include "pipeline/text/added_tokens.h"
#include "pipeline/text/bpe.h"
#include "pipeline/text/postprocessor.h"
#include "pipeline/text/pretokenizer.h"
#include "pipeline/text/tokenizer.h"
#include "pipeline/text/vocabulary.h"

struct ss_tokenizer {
    bool nfc; /* the normalizer: NFC, or nothing */
    struct ss_vocabulary vocabulary;
    struct ss_added_tokens added;
    struct ss_pretokenizer pretokenizer;
    struct ss_bpe bpe;
    struct ss_postprocessor postprocessor;
};

#endif
