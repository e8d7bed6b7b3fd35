/* Workload files: what is shipped can be read, and mistakes are named by line and key. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "engine/workload/workload.h"

static enum ss_status read_text(const char *text, struct ss_workload **workload, char **said)
{
    size_t bytes = 0;
    FILE *stream = open_memstream(said, &bytes);
    enum ss_status status =
        ss_workload_read_text("t.yaml", "/folder", text, strlen(text), stream, workload);
    fclose(stream);
    return status;
}

/* TEXT is refused, and a line of what is said starts with LINE. */
static void refuse(const char *text, const char *line)
{
    struct ss_workload *workload = (void *)1;
    char *said = 0;
    cr_assert_eq(read_text(text, &workload, &said), SS_INVALID, "accepted: %s", text);
    cr_assert_eq(workload, (void *)1, "an out-parameter was set on failure");
    cr_assert(strncmp(said, line, strlen(line)) == 0, "said: %swanted: %s", said, line);
    free(said);
}

Test(workload_read, shipped_files)
{
    glob_t found;
    cr_assert_eq(glob("configs/workloads/*.yaml", 0, 0, &found), 0);
    cr_assert_geq(found.gl_pathc, 13);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct ss_workload *workload;
        cr_assert_eq(ss_workload_read(found.gl_pathv[i], stderr, &workload), SS_OK);
        cr_assert_gt(workload->stream_count, 0);
        ss_workload_destroy(workload);
    }
    globfree(&found);
}

Test(workload_read, values)
{
    struct ss_workload *workload;
    char *said = 0;
    enum ss_status status =
        read_text("duration: 2min\nrequests: 5\nprompt: {median: 9.5, max: 20}\n"
                  "class: batch\ndeadline: 3s\nstreams:\n"
                  "- gamma: {rate: [1, 2.5], cv: 4}\n"
                  "- trace: {csv: t.csv, speed: 10}\n  output: {tokens: 3}\n"
                  "  class: realtime\n  deadline: 0\n  from: 1s\n  until: 2s\n",
                  &workload, &said);
    cr_assert_eq(status, SS_OK, "%s", said);
    free(said);
    cr_assert_eq(workload->duration_ns, 120000000000ull);
    cr_assert_eq(workload->requests, 5);
    const struct ss_arrival_stream *gamma = &workload->streams[0], *trace = &workload->streams[1];
    cr_assert_eq(gamma->kind, SS_ARRIVE_GAMMA);
    cr_assert_eq(gamma->rates.count, 2);
    cr_assert_eq(gamma->rates.items[1], 2.5);
    cr_assert_eq(gamma->cv, 4);
    cr_assert_eq(gamma->prompt.median, 9.5);
    cr_assert_eq(gamma->prompt.max, 20);
    cr_assert_eq(gamma->output.tokens, 1);
    cr_assert_eq(gamma->class, SS_CLASS_BATCH);
    cr_assert_eq(gamma->deadline_ns, 3000000000ull);
    cr_assert_eq(gamma->until_ns, UINT64_MAX);
    cr_assert_eq(trace->kind, SS_ARRIVE_TRACE);
    cr_assert_str_eq(trace->csv, "/folder/t.csv");
    cr_assert_eq(trace->speed, 10);
    cr_assert_eq(trace->output.tokens, 3);
    cr_assert_eq(trace->class, SS_CLASS_REALTIME);
    cr_assert_eq(trace->deadline_ns, 0);
    cr_assert_eq(trace->from_ns, 1000000000ull);
    ss_workload_destroy(workload);
}

Test(workload_read, mistakes)
{
    refuse("", "t.yaml: found an empty file, expected a workload");
    refuse("requests: 1\n",
           "t.yaml:1:1: streams: found no such key, expected a list of streams (- models: ...)");
    refuse("requests: 1\nstreams: []\n", "t.yaml:2:10: streams: found an empty list");
    refuse("requests: 1\nstreams:\n- models: a\n",
           "t.yaml:3:3: streams[0].gamma: found no arrivals, expected one of: gamma");
    refuse("requests: 1\nstreams:\n- {zipf: {rate: 1}, poisson: {rate: 1}}\n",
           "t.yaml:3:10: streams[0].zipf: found beside poisson, expected one of the two");
    refuse("streams:\n- poisson: {rate: 1}\n",
           "t.yaml:1:1: duration: found neither duration nor requests");
    refuse("requests: 1\nstreams:\n- gamma: {cv: 1}\n",
           "t.yaml:3:10: streams[0].gamma.rate: found nothing, or 0");
    refuse("requests: 1\nstreams:\n- zipf: {rate: 0}\n",
           "t.yaml:3:16: streams[0].zipf.rate: found nothing, or 0");
    refuse("requests: 1\nstreams:\n- gamma: {rate: [0, 0]}\n",
           "t.yaml:3:17: streams[0].gamma.rate: found nothing, or 0");
    refuse("requests: 1\nstreams:\n- poisson: {rate: 0}\n",
           "t.yaml:3:19: streams[0].poisson.rate: found nothing, or 0");
    refuse("requests: 1\nstreams:\n- gamma: {rate: 1e400}\n",
           "t.yaml:3:17: streams[0].gamma.rate: found \"1e400\", which is too large, expected");
    refuse("requests: 1\nstreams:\n- gamma: {rate: -1}\n",
           "t.yaml:3:17: streams[0].gamma.rate: found \"-1\", expected a number, 0 or more");
    refuse("requests: 1\nstreams:\n- gamma: {rate: [1, x]}\n",
           "t.yaml:3:21: streams[0].gamma.rate: found \"x\", expected a number");
    refuse("requests: 1\nstreams:\n- gamma: {rate: []}\n",
           "t.yaml:3:17: streams[0].gamma.rate: found an empty list");
    refuse("requests: 1\nstreams:\n- gamma: {rate: 1, burst: 2}\n",
           "t.yaml:3:20: streams[0].gamma: found the unknown key \"burst\"");
    refuse("requests: 1\nstreams:\n- mmpp: {rates: [1, 2], dwell: 1s}\n",
           "t.yaml:3:32: streams[0].mmpp.dwell: found 1 times, expected one for each of 2 rates");
    refuse("requests: 1\nstreams:\n- mmpp: {rates: 1, dwell: 0}\n",
           "t.yaml:3:27: streams[0].mmpp.dwell: found 0 s, expected 1ms at least");
    refuse("requests: 1\nstreams:\n- mmpp: {rates: [0, 0], dwell: [1s, 1s]}\n",
           "t.yaml:3:17: streams[0].mmpp.rates: found 0 in every state");
    refuse("requests: 1\nstreams:\n- trace: {csv: a.csv, speed: 0}\n",
           "t.yaml:3:30: streams[0].trace.speed: found 0");
    refuse("requests: 1\nstreams:\n- {poisson: {rate: 1}, class: urgent}\n",
           "t.yaml:3:31: streams[0].class: found \"urgent\", expected realtime, normal or batch");
    refuse("requests: 1\nprompt: {tokens: 0}\nstreams:\n- poisson: {rate: 1}\n",
           "t.yaml:2:18: prompt.tokens: found \"0\", expected an integer from 1");
    refuse("duration: 30\nstreams:\n- poisson: {rate: 1}\n",
           "t.yaml:1:11: duration: found \"30\", which has no unit");
}
