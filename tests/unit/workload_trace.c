/* CSV files of requests: what is read, and what is refused by its line. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/workload/trace.h"

#define AZURE    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
#define ARRIVALS "time_s,model,prompt_tokens,output_tokens,class\n"

/* Reads all rows of TEXT into ROWS (room for MAX); returns the last status. */
static enum ss_status read_rows(const char *text, enum ss_trace_format format,
                                struct ss_trace_row *rows, size_t max, size_t *count)
{
    struct ss_trace *trace;
    *count = 0;
    enum ss_status status = ss_trace_open_text(text, strlen(text), format, &trace);
    if (status)
        return status;
    while (*count < max && !(status = ss_trace_next(trace, &rows[*count])))
        ++*count;
    ss_trace_close(trace);
    return status;
}

/* TEXT is refused, and the message begins with "text:", LINE and ": " and WHAT. */
static void refuse(const char *text, enum ss_trace_format format, const char *what)
{
    struct ss_trace_row rows[8];
    size_t count;
    cr_assert_eq(read_rows(text, format, rows, 8, &count), SS_INVALID, "%s", text);
    cr_assert(strncmp(ss_status_message(), what, strlen(what)) == 0, "said: %s\nwanted: %s",
              ss_status_message(), what);
}

Test(workload_trace, azure_sample)
{
    struct ss_trace *trace;
    struct ss_trace_row row;
    uint64_t tokens = 0, rows = 0;
    cr_assert_eq(ss_trace_open("tests/golden/azure-sample.csv", SS_TRACE_AZURE, &trace), SS_OK);
    cr_assert_eq(ss_trace_next(trace, &row), SS_OK);
    cr_assert_eq(row.at_ns, 0);
    cr_assert_eq(row.prompt_tokens, 374);
    cr_assert_eq(row.output_tokens, 44);
    cr_assert_eq(ss_trace_next(trace, &row), SS_OK);
    cr_assert_eq(row.at_ns, 4314350000ull);
    while (ss_trace_next(trace, &row) == SS_OK) {
        tokens += row.prompt_tokens + row.output_tokens;
        rows++;
    }
    /* The last row is two new years and a leap day later: 45 + 366 + 15 days. */
    cr_assert_eq(row.at_ns, (426ull * 86400 + 1) * 1000000000 + 319410000);
    cr_assert_eq(rows, 8);
    cr_assert_eq(tokens, 7717);
    cr_assert_eq(ss_trace_line(trace), 12);
    ss_trace_close(trace);
}

Test(workload_trace, ends_and_forms)
{
    struct ss_trace_row rows[4];
    size_t count;
    cr_assert_eq(read_rows(AZURE "2024-05-10 00:00:00.009930+00:00,1,2\r\n"
                                 "2024-05-10T00:00:01Z,3,4",
                           SS_TRACE_AZURE, rows, 4, &count),
                 SS_EMPTY);
    cr_assert_eq(count, 2);
    cr_assert_eq(rows[1].at_ns, 990070000ull);
    cr_assert_eq(read_rows("\xef\xbb\xbf" AZURE, SS_TRACE_AZURE, rows, 4, &count), SS_EMPTY);
    cr_assert_eq(count, 0);
    cr_assert_eq(read_rows(ARRIVALS "0.5,a,1,2,normal\n1.000000001,b-1,3,4,realtime\n",
                           SS_TRACE_ARRIVALS, rows, 4, &count),
                 SS_EMPTY);
    cr_assert_eq(count, 2);
    cr_assert_eq(rows[0].at_ns, 500000000ull);
    cr_assert_eq(rows[1].at_ns, 1000000001ull);
    cr_assert_str_eq(rows[1].model, "b-1");
    cr_assert_str_eq(rows[1].class, "realtime");
}

Test(workload_trace, refused_lines)
{
    static const char good[] = "2023-11-16 18:15:46.6805900,1,2\n";
    char text[2048];
    refuse("", SS_TRACE_AZURE, "text:1: another first line");
    refuse("TIMESTAMP,ContextTokens\n", SS_TRACE_AZURE, "text:1: another first line");
    refuse(ARRIVALS, SS_TRACE_AZURE, "text:1: another first line");
    static const struct {
        const char *line, *what;
    } azure[] = {
        {"2023-11-16 18:15:47,1\n", "text:3: another number of columns"},
        {"2023-11-16 18:15:47,1,2,3\n", "text:3: another number of columns"},
        {"\n", "text:3: another number of columns"},
        {"2023-11-16,1,2\n", "text:3: no such time"},
        {"2023-13-16 18:15:47,1,2\n", "text:3: no such time"},
        {"2023-11-16 18:15:47.,1,2\n", "text:3: no such time"},
        {"2023-11-16 18:15:47 PST,1,2\n", "text:3: no such time"},
        {"now,1,2\n", "text:3: no such time"},
        {"2023-11-16 18:15:47,,2\n", "text:3: ContextTokens is no number"},
        {"2023-11-16 18:15:47,-1,2\n", "text:3: ContextTokens is no number"},
        {"2023-11-16 18:15:47,1e3,2\n", "text:3: ContextTokens is no number"},
        {"2023-11-16 18:15:47,1,99999999999\n", "text:3: GeneratedTokens is no number"},
        {"2023-11-16 18:15:46,1,2\n", "text:3: a time before the last line's"},
    };
    for (size_t i = 0; i < sizeof azure / sizeof *azure; i++) {
        snprintf(text, sizeof text, "%s%s%s", AZURE, good, azure[i].line);
        refuse(text, SS_TRACE_AZURE, azure[i].what);
    }
    refuse(ARRIVALS "0.5,a,1,2\n", SS_TRACE_ARRIVALS, "text:2: another number of columns");
    refuse(ARRIVALS "x,a,1,2,normal\n", SS_TRACE_ARRIVALS, "text:2: time_s is no time");
    refuse(ARRIVALS "0.5,,1,2,normal\n", SS_TRACE_ARRIVALS, "text:2: model is no name");
    refuse(ARRIVALS "0.5,a,1,2,urgent\n", SS_TRACE_ARRIVALS, "text:2: class is none");
    snprintf(text, sizeof text, "%s%0600d\n", ARRIVALS, 0);
    refuse(text, SS_TRACE_ARRIVALS, "text:2: a line that does not end");
}

Test(workload_trace, no_file)
{
    struct ss_trace *trace;
    cr_assert_eq(ss_trace_open("tests/golden/none.csv", SS_TRACE_AZURE, &trace), SS_IO);
}
