/* Unicode normalization form C, as `tokenizers` computes it (unicode_table.h). */
#ifndef SS_PIPELINE_TEXT_NFC_H
#define SS_PIPELINE_TEXT_NFC_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

/* Working memory, reused from call to call; all zero at first. TEXT holds the last result. */
struct ss_nfc {
    int32_t *characters;
    uint8_t *text;
    size_t characters_room, text_room;
};

void ss_nfc_free(struct ss_nfc *nfc);

/* Normalizes the BYTES of valid UTF-8 at TEXT. *OUT is TEXT itself where that is plainly normal,
 * else memory of *NFC that stands until its next use. Linear in BYTES (The Unicode Standard,
 * section 3.11; combining marks are sorted by counting). */
SS_MUST_CHECK enum ss_status ss_nfc_apply(struct ss_nfc *nfc, const uint8_t *text, size_t bytes,
                                          const uint8_t **out, size_t *out_bytes);

#endif
