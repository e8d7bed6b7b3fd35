/* Conversion between the dtypes of weights: to wider exactly, to narrower by rounding to nearest,
 * ties to even; overflow gives infinities, NaN stays NaN (quiet). F16 and BF16 convert through F32,
 * which holds both exactly. */
#ifndef SS_SWAP_CONVERT_H
#define SS_SWAP_CONVERT_H

#include <stddef.h>

#include "swap/image.h"

/* COUNT elements; both aligned to their element. The bits do not depend on the processor. */
void ss_convert(void *to, enum ss_dtype to_dtype, const void *from, enum ss_dtype from_dtype,
                size_t count);

#endif
