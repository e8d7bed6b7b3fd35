/* Log lines on stderr, in the form users of vLLM know:
 *     INFO 11-21 09:00:00 loader.c:42] message
 * with " rank 2" before the file when a rank was set. One write per line; any thread. */
#ifndef SS_BASE_LOG_H
#define SS_BASE_LOG_H

enum ss_log_level { SS_LOG_DEBUG, SS_LOG_INFO, SS_LOG_WARNING, SS_LOG_ERROR };

/* Lines under LEVEL are dropped. The default is SS_LOG_INFO. */
void ss_log_set_level(enum ss_log_level level);

/* The rank printed in every line; -1 (the default) prints none. */
void ss_log_set_rank(int rank);

void ss_log(enum ss_log_level level, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define SS_DEBUG(...)   ss_log(SS_LOG_DEBUG, __FILE__, __LINE__, __VA_ARGS__)
#define SS_INFO(...)    ss_log(SS_LOG_INFO, __FILE__, __LINE__, __VA_ARGS__)
#define SS_WARNING(...) ss_log(SS_LOG_WARNING, __FILE__, __LINE__, __VA_ARGS__)
#define SS_ERROR(...)   ss_log(SS_LOG_ERROR, __FILE__, __LINE__, __VA_ARGS__)

#endif
