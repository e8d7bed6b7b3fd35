/* What a long-lived process wants of its surroundings. */
#ifndef SS_BASE_PROCESS_H
#define SS_BASE_PROCESS_H

#include <stdint.h>

/* Gives standard streams that are closed to /dev/null, or the next file that a library opens would
 * take what is printed; allows as many open files as the hard limit does, and returns that number.
 * First thing in main. */
uint64_t ss_process_begin(void);

#endif
