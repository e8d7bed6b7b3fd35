/* Bytes of each element on the wire, shared by both directions; the fields follow each other in
 * the order of the structs in entry.h.
 *
 *   entry:  'e' kind:1 number:8, then by kind
 *     load     model:2 lane:1 placements          drop    model:2 copy_back:1 placements
 *     move     moves                              batch   model:2 sequences pages openings
 *     promote  target:8                           cancel  target:8
 *     spill    slot:2 spill_block:4 block_count:4
 *     restore  slot:2 spill_block:4 block_count:4 pages
 *     close    slots                              stop
 *   report: 'r' kind:1 rank:2 serial:8 number:8 count:4 at:8 started:8 waited:8 to_device:8
 *           to_host:8 tokens message
 * Arrays are a count of 4 bytes and the elements; openings have no count, they are as many as the
 * sequences that open. */
#ifndef SS_ENTRY_WIRE_SIZES_H
#define SS_ENTRY_WIRE_SIZES_H

enum {
    SS_WIRE_PLACEMENT = 8,
    SS_WIRE_MOVE = 20,
    SS_WIRE_SEQUENCE = 24,
    SS_WIRE_PAGE = 4,
    SS_WIRE_SLOT = 2,
    SS_WIRE_TOKEN_ID = 4,
    SS_WIRE_REPORT_TOKEN = 8,
};

#endif
