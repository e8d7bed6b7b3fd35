/* Times the CPU matrix product of one instruction set, for every stored type, against OpenBLAS, and
 * writes JSON. Both run on the calling thread and are timed by that thread's own processor time;
 * the calls alternate, and each counts with its fastest run: other work on the machine slows
 * either, and never speeds one up. */
#include <cblas.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/random.h"
#include "pipeline/ops/cpu/kernels.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { ROWS_MAX = 256, DTYPES = 3, RUNS_MIN = 7 };
#define SECONDS_PER_SHAPE 3.0

static const uint32_t row_counts[] = {1, 8, 64, ROWS_MAX};
static const uint32_t shapes[][2] = {{128, 384}, {512, 2048}, {2048, 2048}, {4096, 4096}};
static const enum ss_dtype dtypes[DTYPES] = {SS_F32, SS_F16, SS_BF16};

/* One shape's operands. The 16-bit weights are other numbers: they are only timed. */
struct problem {
    uint32_t rows, k, n;
    float *in, *out, *expected;
    void *weights[DTYPES];
};

struct times {
    double ours_s[DTYPES], openblas_s;
    int runs;
    double difference; /* ||ours - OpenBLAS|| / ||OpenBLAS||, fp32 */
};

static void *must_alloc(size_t bytes)
{
    void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!memory) {
        fprintf(stderr, "cpu-linear: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return memory;
}

static struct problem make(uint32_t rows, uint32_t k, uint32_t n)
{
    struct problem p = {.rows = rows, .k = k, .n = n};
    size_t elements = (size_t)n * k;
    p.in = must_alloc(sizeof(float) * rows * k);
    p.out = must_alloc(sizeof(float) * rows * n);
    p.expected = must_alloc(sizeof(float) * rows * n);
    for (size_t i = 0; i < (size_t)rows * k; i++)
        p.in[i] = (float)(ss_random_unit(1, i) - 0.5);
    for (int d = 0; d < DTYPES; d++) {
        p.weights[d] = must_alloc(elements * ss_dtype_bytes(dtypes[d]));
        for (size_t i = 0; i < elements; i++) {
            /* Normal numbers below 1 in both 16-bit types. */
            if (dtypes[d] == SS_F32)
                ((float *)p.weights[d])[i] = (float)(ss_random_unit(2, i) - 0.5);
            else
                ((uint16_t *)p.weights[d])[i] = (uint16_t)(0x3800 | (ss_random_u64(2, i) & 0x83ff));
        }
    }
    return p;
}

static void release(struct problem *p)
{
    free(p->in);
    free(p->out);
    free(p->expected);
    for (int d = 0; d < DTYPES; d++)
        free(p->weights[d]);
}

static uint64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * SS_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void keep_least(double *least_s, uint64_t begin_ns)
{
    double took_s = (double)(thread_ns() - begin_ns) / SS_NS_PER_S;
    if (*least_s <= 0 || took_s < *least_s)
        *least_s = took_s;
}

static void run_openblas(const struct problem *p, double *least_s)
{
    int rows = (int)p->rows, k = (int)p->k, n = (int)p->n;
    uint64_t begin_ns = thread_ns();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, n, k, 1, p->in, k, p->weights[0], k,
                0, p->expected, n);
    keep_least(least_s, begin_ns);
    if (rows > 1)
        return;
    begin_ns = thread_ns();
    cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1, p->weights[0], k, p->in, 1, 0, p->expected,
                1);
    keep_least(least_s, begin_ns);
}

static void run_ours(const struct problem *p, const struct ss_cpu_kernels *kernels, int dtype,
                     struct ss_cpu_scratch *scratch, double *least_s)
{
    const struct ss_cpu_linear call = {.out = p->out,
                                       .in = p->in,
                                       .rows = p->rows,
                                       .k = p->k,
                                       .n = p->n,
                                       .weight = p->weights[dtype],
                                       .dtype = dtypes[dtype]};
    uint64_t begin_ns = thread_ns();
    kernels->linear(&call, scratch);
    keep_least(least_s, begin_ns);
}

static double difference(const struct problem *p)
{
    double apart = 0, norm = 0;
    for (size_t i = 0; i < (size_t)p->rows * p->n; i++) {
        apart += pow((double)p->out[i] - (double)p->expected[i], 2);
        norm += pow((double)p->expected[i], 2);
    }
    return sqrt(apart / norm);
}

static struct times measure(const struct problem *p, const struct ss_cpu_kernels *kernels,
                            struct ss_cpu_scratch *scratch)
{
    struct times times = {0};
    uint64_t end_ns = ss_now_ns() + (uint64_t)(SECONDS_PER_SHAPE * SS_NS_PER_S);
    for (times.runs = 0; times.runs < RUNS_MIN || ss_now_ns() < end_ns; times.runs++) {
        run_openblas(p, &times.openblas_s);
        for (int d = DTYPES - 1; d >= 0; d--)
            run_ours(p, kernels, d, scratch, &times.ours_s[d]);
    }
    times.difference = difference(p);
    return times;
}

/* Two decimals are what the measurement is worth. */
static json_t *rounded(double value)
{
    return json_real(round(value * 100) / 100);
}

static json_t *report(const struct problem *p, const struct times *times)
{
    double flops = 2.0 * p->rows * p->k * p->n, ratio = times->ours_s[0] / times->openblas_s;
    json_t *ours = json_object();
    printf("%5u %5u %5u %9.1f    ", p->rows, p->k, p->n, flops / times->openblas_s / 1e9);
    for (int d = 0; d < DTYPES; d++) {
        double rate = flops / times->ours_s[d] / 1e9;
        printf(" %6.1f", rate);
        json_object_set_new(ours, ss_dtype_name(dtypes[d]), rounded(rate));
    }
    printf("   %5.2f\n", ratio);
    return json_pack("{s:i s:i s:i s:i s:o s:o s:o s:f}", "rows", (int)p->rows, "k", (int)p->k, "n",
                     (int)p->n, "runs", times->runs, "openblas_f32_gflops",
                     rounded(flops / times->openblas_s / 1e9), "ours_gflops", ours,
                     "f32_time_over_openblas", rounded(ratio), "f32_relative_difference",
                     times->difference);
}

static void cpu_model(char *name, size_t bytes)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(name, bytes, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *value = strchr(line, ':');
        if (value && strncmp(line, "model name", 10) == 0) {
            value[strcspn(value, "\n")] = 0;
            snprintf(name, bytes, "%s", value + 2);
            break;
        }
    }
    if (file)
        fclose(file);
}

static json_t *machine(void)
{
    char model[128], date[32];
    double load = 0;
    time_t now = time(0);
    struct tm day;
    cpu_model(model, sizeof model);
    (void)getloadavg(&load, 1);
    gmtime_r(&now, &day);
    strftime(date, sizeof date, "%Y-%m-%d", &day);
    const char *core = getenv("OPENBLAS_CORETYPE");
    return json_pack("{s:s s:s s:f s:s s:s s:s}", "cpu", model, "date", date, "load_before", load,
                     "openblas", openblas_get_config(), "openblas_core", openblas_get_corename(),
                     "openblas_core_asked", core ? core : "");
}

static json_t *compare(const struct ss_cpu_kernels *kernels, struct ss_cpu_scratch *scratch)
{
    json_t *list = json_array();
    printf("GFLOP/s on one thread; our F32 time over OpenBLAS's\n"
           " rows     k     n  OpenBLAS       F32    F16   BF16   ratio\n");
    for (size_t s = 0; s < COUNT(shapes); s++)
        for (size_t r = 0; r < COUNT(row_counts); r++) {
            struct problem p = make(row_counts[r], shapes[s][0], shapes[s][1]);
            struct times times = measure(&p, kernels, scratch);
            json_array_append_new(list, report(&p, &times));
            release(&p);
        }
    return list;
}

static const struct ss_cpu_kernels *find(const char *name)
{
    for (int i = 0; ss_cpu_kernels_at(i); i++)
        if (strcmp(ss_cpu_kernels_at(i)->name, name) == 0)
            return ss_cpu_kernels_at(i);
    return 0;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: cpu-linear avx512|avx2|portable RESULT.json\n");
        return 2;
    }
    const struct ss_cpu_kernels *kernels = find(arguments[1]);
    if (!kernels) {
        fprintf(stderr, "cpu-linear: this machine or build has no %s\n", arguments[1]);
        return 1;
    }
    struct ss_cpu_scratch *scratch;
    if (ss_cpu_scratch_create(&scratch)) {
        fprintf(stderr, "cpu-linear: %s\n", ss_status_message());
        return 1;
    }
    openblas_set_num_threads(1);
    json_t *result = machine();
    json_object_set_new(result, "instruction_set", json_string(kernels->name));
    json_object_set_new(result, "shapes", compare(kernels, scratch));
    int failed = json_dump_file(result, arguments[2], JSON_INDENT(2) | JSON_REAL_PRECISION(4));
    if (failed)
        fprintf(stderr, "cpu-linear: cannot write %s\n", arguments[2]);
    json_decref(result);
    ss_cpu_scratch_destroy(scratch);
    return failed ? 1 : 0;
}
