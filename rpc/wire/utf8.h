/* Whether bytes are UTF-8 as RFC 3629 has it: no surrogates, nothing over U+10FFFF, no overlong
 * forms. */
#ifndef SS_RPC_WIRE_UTF8_H
#define SS_RPC_WIRE_UTF8_H

#include <stddef.h>

/* The offset of the first byte that begins no whole character; SIZE if there is none. */
size_t ss_utf8_valid_bytes(const char *data, size_t size);

#endif
