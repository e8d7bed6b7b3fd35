#include "engine/workload/trace.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

#define TOKENS_MAX (1u << 20)
#define NS         1000000000ull
#define DAYS_MAX   36600ull

struct ss_trace {
    FILE *file;
    char *path;
    enum ss_trace_format format;
    uint64_t line;
    bool begun;
    uint64_t first_ns, last_ns; /* as written */
};

static const char azure_header[] = "TIMESTAMP,ContextTokens,GeneratedTokens";
static const char arrivals_header[] = "time_s,model,prompt_tokens,output_tokens,class";

static enum ss_status wrong(const struct ss_trace *trace, const char *what, const char *expected)
{
    return ss_fail(SS_INVALID, "%s:%llu: %s, expected %s", trace->path,
                   (unsigned long long)trace->line, what, expected);
}

/* The next line without its end; SS_EMPTY at the end of the file. */
static enum ss_status read_line(struct ss_trace *trace, char line[SS_TRACE_LINE_BYTES])
{
    size_t used = 0;
    int c;
    trace->line++;
    while ((c = getc(trace->file)) != EOF && c != '\n') {
        if (c == '\0')
            return wrong(trace, "a zero byte", "text");
        if (used + 1 == SS_TRACE_LINE_BYTES)
            return wrong(trace, "a line that does not end", "511 bytes at most");
        line[used++] = (char)c;
    }
    if (ferror(trace->file))
        return ss_fail_errno(SS_IO, errno, "%s: cannot be read", trace->path);
    if (c == EOF && used == 0)
        return SS_EMPTY;
    if (used > 0 && line[used - 1] == '\r')
        used--;
    line[used] = '\0';
    return SS_OK;
}

static enum ss_status read_header(struct ss_trace *trace)
{
    char line[SS_TRACE_LINE_BYTES];
    const char *expected = trace->format == SS_TRACE_AZURE ? azure_header : arrivals_header;
    enum ss_status status = read_line(trace, line);
    if (status != SS_OK && status != SS_EMPTY)
        return status;
    const char *text = line;
    if (status == SS_OK && strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    if (status == SS_EMPTY || strcmp(text, expected) != 0) {
        char wanted[96];
        snprintf(wanted, sizeof wanted, "the header %s", expected);
        return wrong(trace, "another first line", wanted);
    }
    return SS_OK;
}

static enum ss_status open_file(FILE *file, const char *path, enum ss_trace_format format,
                                struct ss_trace **out)
{
    struct ss_trace *trace;
    enum ss_status status = ss_alloc(&trace, 1, sizeof *trace, "a trace");
    if (status) {
        fclose(file);
        return status;
    }
    trace->file = file;
    trace->format = format;
    status = ss_strdup(&trace->path, path);
    if (!status)
        status = read_header(trace);
    if (status) {
        ss_trace_close(trace);
        return status;
    }
    *out = trace;
    return SS_OK;
}

enum ss_status ss_trace_open(const char *path, enum ss_trace_format format, struct ss_trace **out)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return ss_fail_errno(SS_IO, errno, "%s: cannot open the trace", path);
    return open_file(file, path, format, out);
}

enum ss_status ss_trace_open_text(const char *text, size_t bytes, enum ss_trace_format format,
                                  struct ss_trace **out)
{
    /* fmemopen() refuses an empty buffer. */
    FILE *file =
        bytes > 0 ? fmemopen((void *)(uintptr_t)text, bytes, "r") : fopen("/dev/null", "re");
    if (!file)
        return ss_fail_errno(SS_IO, errno, "a text cannot be opened");
    return open_file(file, "text", format, out);
}

void ss_trace_close(struct ss_trace *trace)
{
    if (!trace)
        return;
    fclose(trace->file);
    ss_free(trace->path);
    ss_free(trace);
}

uint64_t ss_trace_line(const struct ss_trace *trace)
{
    return trace->line;
}

/* DIGITS exactly, from *TEXT, which is moved behind them. */
static bool take_digits(const char **text, int digits, uint64_t *out)
{
    uint64_t value = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        value = value * 10 + (uint64_t)(**text - '0');
    }
    *out = value;
    return true;
}

static bool take_char(const char **text, char c)
{
    return *(*text)++ == c;
}

/* ".5", ".6805900": nanoseconds; further digits are cut. */
static bool take_fraction(const char **text, uint64_t *ns)
{
    uint64_t unit = NS / 10;
    *ns = 0;
    if (**text != '.')
        return true;
    (*text)++;
    if (**text < '0' || **text > '9')
        return false;
    for (; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
        *ns += (uint64_t)(**text - '0') * unit;
    return true;
}

/* Days since 1970-01-01 of the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level
 * date algorithms", days_from_civil). */
static uint64_t days_since_1970(uint64_t year, uint64_t month, uint64_t day)
{
    year -= month <= 2;
    uint64_t era = year / 400, of_era = year % 400;
    uint64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "2023-11-16 18:15:46.6805900", maybe with "+00:00" behind it. */
static bool parse_timestamp(const char *text, uint64_t *out)
{
    uint64_t year, month, day, hour, minute, second, ns;
    if (!take_digits(&text, 4, &year) || !take_char(&text, '-') || !take_digits(&text, 2, &month) ||
        !take_char(&text, '-') || !take_digits(&text, 2, &day) || (*text != ' ' && *text != 'T') ||
        !text++ || !take_digits(&text, 2, &hour) || !take_char(&text, ':') ||
        !take_digits(&text, 2, &minute) || !take_char(&text, ':') ||
        !take_digits(&text, 2, &second) || !take_fraction(&text, &ns))
        return false;
    if (strcmp(text, "") != 0 && strcmp(text, "+00:00") != 0 && strcmp(text, "Z") != 0)
        return false;
    if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    uint64_t days = days_since_1970(year, month, day);
    *out = (((days * 24 + hour) * 60 + minute) * 60 + second) * NS + ns;
    return true;
}

/* "12.345678901": seconds. */
static bool parse_seconds(const char *text, uint64_t *out)
{
    uint64_t seconds = 0, ns;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        seconds = seconds * 10 + (uint64_t)(*text - '0');
        if (seconds > DAYS_MAX * 86400)
            return false;
    }
    if (!take_fraction(&text, &ns) || *text != '\0')
        return false;
    *out = seconds * NS + ns;
    return true;
}

static bool parse_tokens(const char *text, uint32_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 7 || text[digits] != '\0')
        return false;
    unsigned long value = strtoul(text, 0, 10);
    if (value > TOKENS_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* Cuts LINE at its commas into FIELDS; false where there are not COUNT of them. */
static bool split(char *line, char **fields, int count)
{
    for (int i = 0; i < count; i++) {
        fields[i] = line;
        line += strcspn(line, ",");
        if ((*line == ',') != (i + 1 < count))
            return false;
        if (*line == ',')
            *line++ = '\0';
    }
    return true;
}

static enum ss_status take_azure(struct ss_trace *trace, char *line, struct ss_trace_row *row)
{
    char *fields[3];
    if (!split(line, fields, 3))
        return wrong(trace, "another number of columns", azure_header);
    if (!parse_timestamp(fields[0], &row->at_ns))
        return wrong(trace, "no such time", "TIMESTAMP like 2023-11-16 18:15:46.6805900");
    if (!parse_tokens(fields[1], &row->prompt_tokens))
        return wrong(trace, "ContextTokens is no number of tokens", "0 to 1048576");
    if (!parse_tokens(fields[2], &row->output_tokens))
        return wrong(trace, "GeneratedTokens is no number of tokens", "0 to 1048576");
    return SS_OK;
}

static enum ss_status take_arrival(struct ss_trace *trace, char *line, struct ss_trace_row *row)
{
    char *fields[5];
    if (!split(line, fields, 5))
        return wrong(trace, "another number of columns", arrivals_header);
    if (!parse_seconds(fields[0], &row->at_ns))
        return wrong(trace, "time_s is no time", "seconds like 1.25");
    if (fields[1][0] == '\0' || strlen(fields[1]) >= sizeof row->model)
        return wrong(trace, "model is no name", "1 to 255 bytes");
    if (!parse_tokens(fields[2], &row->prompt_tokens))
        return wrong(trace, "prompt_tokens is no number of tokens", "0 to 1048576");
    if (!parse_tokens(fields[3], &row->output_tokens))
        return wrong(trace, "output_tokens is no number of tokens", "0 to 1048576");
    if (strcmp(fields[4], "realtime") != 0 && strcmp(fields[4], "normal") != 0 &&
        strcmp(fields[4], "batch") != 0)
        return wrong(trace, "class is none", "realtime, normal or batch");
    snprintf(row->model, sizeof row->model, "%s", fields[1]);
    snprintf(row->class, sizeof row->class, "%s", fields[4]);
    return SS_OK;
}

enum ss_status ss_trace_next(struct ss_trace *trace, struct ss_trace_row *out)
{
    char line[SS_TRACE_LINE_BYTES];
    struct ss_trace_row row = {0};
    enum ss_status status = read_line(trace, line);
    if (status)
        return status;
    status = trace->format == SS_TRACE_AZURE ? take_azure(trace, line, &row)
                                             : take_arrival(trace, line, &row);
    if (status)
        return status;
    if (trace->begun && row.at_ns < trace->last_ns)
        return wrong(trace, "a time before the last line's", "lines in the order of time");
    if (!trace->begun)
        trace->first_ns = trace->format == SS_TRACE_AZURE ? row.at_ns : 0;
    trace->begun = true;
    trace->last_ns = row.at_ns;
    row.at_ns -= trace->first_ns;
    *out = row;
    return SS_OK;
}
