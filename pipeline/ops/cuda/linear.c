/* Products by cuBLASLt. A row-major out[rows][n] = in[rows][k] * weight[n][k]^T is, to a library
 * that counts by columns, out(n x rows) = weight(k x n)^T * in(k x rows). */
#include <cublasLt.h>
#include <pthread.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "pipeline/ops/cuda/few_rows.h"
#include "pipeline/ops/cuda/internal.h"

#define PLANS_MAX 8192

/* The kernels of invariant products are the library's choice for so many rows: weights are read
 * once for them, and computing still hides behind that. */
#define INVARIANT_ROWS 128u

/* So many rows are normalised by every block of a product itself; more cost more than a launch. But
 * rows that norms.cu takes in another order are never left to it. */
#define NORM_ROWS_MAX 2

struct plan_key {
    uint32_t n, k, rows;
    enum ss_dtype in, out;
    cublasLtEpilogue_t epilogue;
};

struct plan {
    struct plan_key key; /* n is 0 where the place is free */
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t weight, in, out;
    cublasLtMatmulAlgo_t algorithm;
    uint32_t cut; /* so many rows go first, the others after them; 0: all at once */
};

struct ss_cuda_plans {
    struct ss_device *device;
    bool invariant;
    cublasLtHandle_t handle;
    pthread_mutex_t lock;
    uint32_t count;
    struct plan plans[PLANS_MAX];
};

static cudaDataType_t data_type(enum ss_dtype dtype)
{
    return dtype == SS_F32 ? CUDA_R_32F : dtype == SS_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

static enum ss_status check(struct ss_device *device, cublasStatus_t code, const char *call)
{
    return code == CUBLAS_STATUS_SUCCESS
               ? SS_OK
               : ss_cuda_fail(device, SS_IO, call, cublasLtGetStatusString(code));
}

static void release(struct plan *plan)
{
    if (plan->product)
        cublasLtMatmulDescDestroy(plan->product);
    if (plan->weight)
        cublasLtMatrixLayoutDestroy(plan->weight);
    if (plan->in)
        cublasLtMatrixLayoutDestroy(plan->in);
    if (plan->out)
        cublasLtMatrixLayoutDestroy(plan->out);
    memset(plan, 0, sizeof *plan);
}

/* The layouts of KEY; ROWS in place of the key's. */
static cublasStatus_t lay_out(struct plan *plan, const struct plan_key *key, uint32_t rows)
{
    cublasOperation_t transposed = CUBLAS_OP_T;
    cublasStatus_t code = cublasLtMatmulDescCreate(&plan->product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (!code)
        code = cublasLtMatmulDescSetAttribute(plan->product, CUBLASLT_MATMUL_DESC_TRANSA,
                                              &transposed, sizeof transposed);
    if (!code)
        code = cublasLtMatmulDescSetAttribute(plan->product, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                              &key->epilogue, sizeof key->epilogue);
    if (!code)
        code = cublasLtMatrixLayoutCreate(&plan->weight, data_type(key->in), key->k, key->n,
                                          (int64_t)key->k);
    if (!code)
        code = cublasLtMatrixLayoutCreate(&plan->in, data_type(key->in), key->k, rows,
                                          (int64_t)key->k);
    if (!code)
        code = cublasLtMatrixLayoutCreate(&plan->out, data_type(key->out), key->n, rows,
                                          (int64_t)key->n);
    return code;
}

/* The heuristic's first choice for what PLAN describes: no timing, the same every time. */
static cublasStatus_t choose(const struct ss_cuda_plans *plans, const struct plan *plan,
                             cublasLtMatmulAlgo_t *algorithm)
{
    uint64_t workspace = SS_CUDA_WORKSPACE_BYTES;
    uint32_t whole_sums = CUBLASLT_REDUCTION_SCHEME_NONE;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    cublasStatus_t code = cublasLtMatmulPreferenceCreate(&preference);
    if (code)
        return code;
    code = cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    if (!code && plans->invariant)
        code = cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &whole_sums, sizeof whole_sums);
    if (!code)
        code = cublasLtMatmulAlgoGetHeuristic(plans->handle, plan->product, plan->weight, plan->in,
                                              plan->out, plan->out, preference, 1, &result, &found);
    if (!code && !found)
        code = CUBLAS_STATUS_NOT_SUPPORTED;
    if (!code)
        *algorithm = result.algo;
    cublasLtMatmulPreferenceDestroy(preference);
    return code;
}

/* Whether PLAN's algorithm can be used for what PLAN describes. */
static bool fits(const struct ss_cuda_plans *plans, const struct plan *plan)
{
    cublasLtMatmulHeuristicResult_t result;
    return cublasLtMatmulAlgoCheck(plans->handle, plan->product, plan->weight, plan->in, plan->out,
                                   plan->out, &plan->algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
           result.workspaceSize <= SS_CUDA_WORKSPACE_BYTES;
}

static cublasStatus_t make(const struct ss_cuda_plans *plans, const struct plan_key *key,
                           struct plan *plan)
{
    uint32_t bucket = plans->invariant ? INVARIANT_ROWS : 1;
    memset(plan, 0, sizeof *plan);
    /* Few kernels serve all row counts, so that few have to be loaded. */
    while (bucket < key->rows && !plans->invariant)
        bucket *= 2;
    cublasStatus_t code = lay_out(plan, key, bucket);
    if (!code)
        code = choose(plans, plan, &plan->algorithm);
    cublasLtMatmulAlgo_t algorithm = plan->algorithm;
    release(plan);
    if (!code)
        code = lay_out(plan, key, key->rows);
    plan->algorithm = algorithm;
    if (!code && !fits(plans, plan)) {
        /* Another kernel would be loaded now, perhaps behind a load; those of powers of two, and of
         * few rows, are loaded at start. */
        if (plans->invariant)
            code = CUBLAS_STATUS_NOT_SUPPORTED;
        else if (key->rows > SS_EACH_ROWS_MAX && bucket > key->rows)
            plan->cut = bucket / 2;
        else
            code = choose(plans, plan, &plan->algorithm);
    }
    plan->key = *key;
    if (code)
        release(plan);
    return code;
}

static bool same(const struct plan_key *a, const struct plan_key *b)
{
    return a->n == b->n && a->k == b->k && a->rows == b->rows && a->in == b->in &&
           a->out == b->out && a->epilogue == b->epilogue;
}

/* The place of KEY's plan, or the free one where it belongs. */
static struct plan *place_of(struct ss_cuda_plans *plans, const struct plan_key *key)
{
    uint64_t hash = ((uint64_t)key->n << 32 | key->k) * 0x9e3779b97f4a7c15ull;
    hash = (hash ^ hash >> 29 ^ key->rows ^ (uint64_t)key->in << 20 ^ (uint64_t)key->out << 22 ^
            (uint64_t)key->epilogue << 24) *
           0xbf58476d1ce4e5b9ull;
    uint32_t at = (uint32_t)(hash >> 40) % PLANS_MAX;
    while (plans->plans[at].key.n && !same(&plans->plans[at].key, key))
        at = (at + 1) % PLANS_MAX;
    return &plans->plans[at];
}

/* A place for one more, at PLAN or elsewhere: half full, the table is emptied, so that searches
 * stay short. */
static struct plan *make_room(struct ss_cuda_plans *plans, const struct plan_key *key,
                              struct plan *plan)
{
    if (plans->count < PLANS_MAX / 2)
        return plan;
    for (uint32_t i = 0; i < PLANS_MAX; i++)
        release(&plans->plans[i]);
    plans->count = 0;
    return place_of(plans, key);
}

/* As multiply() has it, unless *CUT says that only so many rows can be queued at once. */
static enum ss_status multiply_at_once(struct ss_cuda_ops *ops, struct ss_stream *stream,
                                       const struct plan_key *key, ss_device_address out,
                                       ss_device_address in, ss_device_address weight,
                                       ss_device_address bias, float beta, uint32_t *cut)
{
    struct ss_cuda_plans *plans = ops->plans;
    const float one = 1;
    void *bias_address = (void *)(uintptr_t)bias;
    pthread_mutex_lock(&plans->lock);
    struct plan *plan = place_of(plans, key);
    cublasStatus_t code = CUBLAS_STATUS_SUCCESS;
    if (plan->key.n == 0) {
        plan = make_room(plans, key, plan);
        code = make(plans, key, plan);
        plans->count += !code;
    }
    *cut = code ? 0 : plan->cut;
    if (!code && bias)
        code = cublasLtMatmulDescSetAttribute(plan->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                              &bias_address, sizeof bias_address);
    if (!code && !*cut)
        code = cublasLtMatmul(plans->handle, plan->product, &one, (const void *)(uintptr_t)weight,
                              plan->weight, (const void *)(uintptr_t)in, plan->in, &beta,
                              (const void *)(uintptr_t)out, plan->out, (void *)(uintptr_t)out,
                              plan->out, &plan->algorithm, (void *)(uintptr_t)ops->workspace,
                              SS_CUDA_WORKSPACE_BYTES, ss_cuda_stream_native(stream));
    pthread_mutex_unlock(&plans->lock);
    if (code)
        return ss_status_context(check(ops->base.device, code, "linear: cuBLASLt"),
                                 "%u rows, weight %u x %u", key->rows, key->n, key->k);
    return SS_OK;
}

/* One product, planned if it is new, added to BETA times what OUT holds. BIAS is of the output's
 * type; 0: none. */
static enum ss_status multiply(struct ss_cuda_ops *ops, struct ss_stream *stream,
                               const struct plan_key *key, ss_device_address out,
                               ss_device_address in, ss_device_address weight,
                               ss_device_address bias, float beta)
{
    struct plan_key part = *key;
    enum ss_status status = SS_OK;
    for (uint32_t done = 0, cut; done < key->rows && !status; done += part.rows) {
        ss_device_address to = out + (uint64_t)done * key->n * ss_dtype_bytes(key->out);
        ss_device_address from = in + (uint64_t)done * key->k * ss_dtype_bytes(key->in);
        part.rows = key->rows - done;
        status = multiply_at_once(ops, stream, &part, to, from, weight, bias, beta, &cut);
        if (status || !cut)
            continue;
        part.rows = cut;
        status = multiply_at_once(ops, stream, &part, to, from, weight, bias, beta, &cut);
        SS_ASSERT(status || !cut); /* a power of two */
    }
    return status;
}

/* Weights of the activations' type: the library adds the bias and applies ReLU itself, where it
 * leaves activations. */
static enum ss_status linear_direct(struct ss_cuda_ops *ops, struct ss_stream *stream,
                                    ss_device_address out, ss_device_address in, uint32_t rows,
                                    const struct ss_weight *weight, const struct ss_weight *bias,
                                    enum ss_activation activation, enum ss_dtype out_dtype)
{
    bool alone = (bias && (bias->dtype != weight->dtype || bias->dtype != out_dtype)) ||
                 activation == SS_ACTIVATION_GELU;
    struct plan_key key = {weight->rows,  weight->columns, rows,
                           weight->dtype, out_dtype,       CUBLASLT_EPILOGUE_DEFAULT};
    if (!alone && bias)
        key.epilogue =
            activation == SS_ACTIVATION_RELU ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    else if (!alone && activation == SS_ACTIVATION_RELU)
        key.epilogue = CUBLASLT_EPILOGUE_RELU;
    enum ss_status status = multiply(ops, stream, &key, out, in, weight->address,
                                     !alone && bias ? bias->address : 0, 0);
    if (!status && alone)
        status = ss_cuda_finish(&ops->base, stream, out, out, rows, weight->rows, bias, activation,
                                out_dtype);
    return status;
}

/* Weights of another type: activations become theirs, and the product comes back through fp32. */
static enum ss_status linear_converted(struct ss_cuda_ops *ops, struct ss_stream *stream,
                                       ss_device_address out, ss_device_address in, uint32_t rows,
                                       const struct ss_weight *weight, const struct ss_weight *bias,
                                       enum ss_activation activation, enum ss_dtype out_dtype)
{
    size_t element = ss_dtype_bytes(ops->base.table->activation_dtype);
    size_t out_row = weight->rows * ss_dtype_bytes(out_dtype);
    size_t widest = weight->rows > weight->columns ? weight->rows : weight->columns;
    size_t slice = SS_CUDA_SCRATCH_BYTES / (widest * sizeof(float));
    enum ss_status status = SS_OK;
    if (slice == 0)
        return ss_fail(SS_UNSUPPORTED, "a %s weight of %u x %u is too wide to convert for",
                       ss_dtype_name(weight->dtype), weight->rows, weight->columns);
    for (uint32_t done = 0; done < rows && !status; done += (uint32_t)slice) {
        uint32_t count = rows - done < slice ? rows - done : (uint32_t)slice;
        struct plan_key key = {weight->rows,  weight->columns, count,
                               weight->dtype, SS_F32,          CUBLASLT_EPILOGUE_DEFAULT};
        status = ss_cuda_convert(&ops->base, stream, ops->scratch_in,
                                 in + done * (size_t)weight->columns * element,
                                 (size_t)count * weight->columns, weight->dtype);
        if (!status)
            status = multiply(ops, stream, &key, ops->scratch_out, ops->scratch_in, weight->address,
                              0, 0);
        if (!status)
            status = ss_cuda_finish(&ops->base, stream, out + done * out_row, ops->scratch_out,
                                    count, weight->rows, bias, activation, out_dtype);
    }
    return status;
}

enum ss_status ss_cuda_linear(struct ss_ops *base, struct ss_stream *stream, ss_device_address out,
                              ss_device_address in, uint32_t rows, const struct ss_weight *weight,
                              const struct ss_weight *bias, enum ss_activation activation,
                              bool unfinished)
{
    struct ss_cuda_ops *ops = (struct ss_cuda_ops *)base;
    enum ss_dtype out_dtype = unfinished ? base->table->sum_dtype : base->table->activation_dtype;
    enum ss_status status = ss_cuda_begin(base->device, "linear");
    const struct ss_dense dense = {.out = out,
                                   .in = in,
                                   .rows = rows,
                                   .weight = weight,
                                   .bias = bias,
                                   .activation = activation,
                                   .unfinished = unfinished};
    if (status || rows == 0)
        return status;
    if (ss_cuda_few_rows_fit(ops, &dense))
        return ss_cuda_multiply_few(ops, stream, &dense);
    return weight->dtype == base->table->activation_dtype
               ? linear_direct(ops, stream, out, in, rows, weight, bias, activation, out_dtype)
               : linear_converted(ops, stream, out, in, rows, weight, bias, activation, out_dtype);
}

/* Whether the library can add to the output itself. */
static bool adds_in_place(const struct ss_cuda_ops *ops, const struct ss_dense *dense)
{
    enum ss_dtype type = ops->base.table->activation_dtype;
    return dense->adds && dense->norm.kind == SS_NORM_NONE &&
           dense->activation == SS_ACTIVATION_NONE && dense->weight->dtype == type &&
           (!dense->bias || dense->bias->dtype == type);
}

static enum ss_status add_in_place(struct ss_cuda_ops *ops, struct ss_stream *stream,
                                   const struct ss_dense *dense)
{
    const struct ss_weight *weight = dense->weight;
    struct plan_key key = {
        weight->rows,  weight->columns,
        dense->rows,   weight->dtype,
        weight->dtype, dense->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT};
    enum ss_status status = ss_cuda_begin(ops->base.device, "linear");
    return status ? status
                  : multiply(ops, stream, &key, dense->out, dense->in, weight->address,
                             dense->bias ? dense->bias->address : 0, 1);
}

/* A norm as its own operation, in front of the rest of DENSE. */
static enum ss_status norm_apart(struct ss_cuda_ops *ops, struct ss_stream *stream,
                                 const struct ss_dense *dense)
{
    const struct ss_norm *norm = &dense->norm;
    uint32_t columns = dense->weight->columns;
    struct ss_dense rest = *dense;
    rest.in = dense->normed;
    rest.norm.kind = SS_NORM_NONE;
    enum ss_status status =
        norm->kind == SS_NORM_LAYER
            ? ss_cuda_layer_norm(&ops->base, stream, dense->normed, dense->in, dense->rows, columns,
                                 norm->weight, norm->bias, norm->epsilon)
            : ss_cuda_rms_norm(&ops->base, stream, dense->normed, dense->in, dense->rows, columns,
                               norm->weight, norm->epsilon);
    return status ? status : ss_cuda_multiply_few(ops, stream, &rest);
}

enum ss_status ss_cuda_dense(struct ss_ops *base, struct ss_stream *stream,
                             const struct ss_dense *dense)
{
    struct ss_cuda_ops *ops = (struct ss_cuda_ops *)base;
    if (dense->rows == 0)
        return SS_OK;
    if (!ss_cuda_few_rows_fit(ops, dense))
        return adds_in_place(ops, dense) ? add_in_place(ops, stream, dense)
                                         : ss_dense_compose(base, stream, dense);
    return dense->norm.kind == SS_NORM_NONE || dense->rows <= NORM_ROWS_MAX ||
                   dense->weight->columns > SS_CUDA_WIDE_NORM_COLUMNS_MAX
               ? ss_cuda_multiply_few(ops, stream, dense)
               : norm_apart(ops, stream, dense);
}

enum ss_status ss_cuda_plans_create(struct ss_device *device, bool invariant,
                                    struct ss_cuda_plans **out)
{
    struct ss_cuda_plans *plans;
    enum ss_status status = ss_alloc(&plans, 1, sizeof *plans, "cuBLASLt plans");
    if (status)
        return status;
    plans->device = device;
    plans->invariant = invariant;
    pthread_mutex_init(&plans->lock, 0);
    status = ss_cuda_begin(device, "cublasLtCreate");
    if (!status)
        status = check(device, cublasLtCreate(&plans->handle), "cublasLtCreate");
    if (status) {
        ss_cuda_plans_destroy(plans);
        return status;
    }
    *out = plans;
    return SS_OK;
}

void ss_cuda_plans_destroy(struct ss_cuda_plans *plans)
{
    for (uint32_t i = 0; i < PLANS_MAX; i++)
        release(&plans->plans[i]);
    if (plans->handle)
        cublasLtDestroy(plans->handle);
    pthread_mutex_destroy(&plans->lock);
    ss_free(plans);
}
