#include "engine/config/schema.h"

#include "engine/config/config.h"
#include "pipeline/entry/entry.h"
#include "rpc/request.h"

#define KI      (1ull << 10)
#define MI      (1ull << 20)
#define GI      (1ull << 30)
#define TI      (1ull << 40)
#define MS      1000000ull
#define DAY_NS  86400000000000ull
#define ANY_MAX UINT64_MAX

#define AT(field) offsetof(struct ss_config, field)
#define OF(field) offsetof(struct ss_config_model, field)

/* The order is that of configs/README.md. */
static const struct ss_key keys[] = {
    {"group.tp", SS_KEY_INT, AT(group.tp), "1", NULL, 1, SS_TP_MAX, NULL,
     "ranks that split each layer between them (tensor parallelism); must divide the heads of "
     "every "
     "model"},
    {"group.pp", SS_KEY_INT, AT(group.pp), "1", NULL, 1, SS_STAGES_MAX, NULL,
     "pipeline stages, one after the other; `mpirun -np` starts tp x pp ranks"},

    {"device.kind", SS_KEY_CHOICE, AT(device.kind), NULL, NULL, 0, 0, "cpu|cuda",
     "what the ranks compute on"},
    {"device.pool", SS_KEY_SIZE, AT(device.pool_bytes), NULL, NULL, 4 * KI, 16 * TI, NULL,
     "device memory of each rank, for weights and KV cache together; rounded down to whole pages"},
    {"device.page", SS_KEY_SIZE, AT(device.page_bytes), NULL, "2MiB on cuda, 64KiB on cpu", 256, GI,
     NULL, "unit of placement in the pool; a power of two"},
    {"device.piece", SS_KEY_SIZE, AT(device.piece_bytes), NULL, "16MiB on cuda, 1MiB on cpu",
     4 * KI, GI, NULL, "what one copy over the link moves; an urgent load waits for one at most"},
    {"device.pieces_in_flight", SS_KEY_INT, AT(device.pieces_in_flight), "2", NULL, 1, 64, NULL,
     "copies handed to the link at once"},
    {"device.graphs", SS_KEY_BOOL, AT(device.graphs), NULL, "true on cuda where tp is 1", 0, 0,
     NULL,
     "steps of one token a sequence are recorded and launched as one; the same bits either way, "
     "and on the cpu the same speed; with tp above 1 servers have hung with them"},
    {"device.link.bandwidth", SS_KEY_RATE, AT(device.link_bytes_per_s), "0", NULL, 0, ANY_MAX, NULL,
     "cpu only: speed of the emulated link of each rank; 0: as fast as memory copies"},
    {"device.link.latency", SS_KEY_TIME, AT(device.link_latency_ns), "0", NULL, 0, DAY_NS, NULL,
     "cpu only: delay that the emulated link adds to each copy"},
    {"device.compute", SS_KEY_CHOICE, AT(device.compute), "real", NULL, 0, 0, "real|paced",
     "cpu only: `real` computes; `paced` sleeps for the time that `device.profile` would need and "
     "gives made-up tokens, for timing experiments with more ranks than cores"},
    {"device.profile.memory_bandwidth", SS_KEY_RATE_REAL, AT(device.profile.memory_bytes_per_s),
     NULL, "required by `compute: paced`", 1, ANY_MAX, NULL,
     "paced: how fast the imagined device reads its memory"},
    {"device.profile.flops", SS_KEY_FLOPS, AT(device.profile.flops_per_s), NULL,
     "required by `compute: paced`", 1, ANY_MAX, NULL,
     "paced: operations per second of the imagined device"},
    {"device.profile.overhead", SS_KEY_TIME, AT(device.profile.overhead_ns), "5us", NULL, 0, DAY_NS,
     NULL, "paced: time that each operation takes whatever its size"},

    {"arena.limit", SS_KEY_SIZE, AT(arena.limit_bytes), "0", NULL, 0, 256 * TI, NULL,
     "most host memory that the weights may take on each node; 0: what the machine and its cgroup "
     "have"},
    {"arena.spill", SS_KEY_SIZE, AT(arena.spill_bytes), NULL, "1GiB on cuda, 64MiB on cpu", 0,
     16 * TI, NULL,
     "host memory of each rank for the KV of sequences set aside; 0: they are recomputed instead"},

    {"server.endpoints", SS_KEY_ENDPOINTS, AT(server.endpoints), "tcp://127.0.0.1:5555", NULL, 1,
     SS_ENDPOINTS_MAX, NULL, "where clients connect: `tcp://HOST:PORT` or `ipc://PATH`"},
    {"server.frame_max", SS_KEY_SIZE, AT(server.frame_bytes_max), "1MiB", NULL, 256, GI, NULL,
     "largest request; a larger one is refused"},
    {"server.clients_max", SS_KEY_INT, AT(server.clients_max), "1024", NULL, 1, 1 << 20, NULL,
     "clients with requests or unsent answers"},
    {"server.client_buffer_max", SS_KEY_SIZE, AT(server.client_buffer_bytes_max), "4MiB", NULL,
     4 * KI, TI, NULL, "answers that may wait for one slow client before it is given up"},
    {"server.curve.secret_key_file", SS_KEY_PATH, AT(server.curve_secret_key_file), NULL,
     "no encryption", 0, 0, NULL, "file with the server's secret CURVE key (Z85, 40 characters)"},
    {"server.curve.client_keys_file", SS_KEY_PATH, AT(server.curve_client_keys_file), NULL,
     "no encryption", 0, 0, NULL, "file with the public keys of the clients let in, one a line"},

    {"limits.requests", SS_KEY_U32, AT(limits.requests_max), "1000", NULL, 1, 1000000, NULL,
     "requests accepted and not yet answered; more are refused (`overloaded`)"},
    {"limits.queue_per_model", SS_KEY_U32, AT(limits.queue_max_per_model), "0", NULL, 0, 1000000,
     NULL, "of these, waiting for one model, not yet begun; 0: as `limits.requests`"},
    {"limits.slots", SS_KEY_U32, AT(limits.slots_max), NULL, "`limits.requests`, 1024 at most", 1,
     SS_NO_SLOT - 1, NULL,
     "sequences that may have state on the ranks at once, 4 bytes for each token of the longest "
     "context apiece; with fewer than `limits.requests` a request may wait long for one"},
    {"limits.batch", SS_KEY_U32, AT(limits.batch_max), NULL,
     "32, or `limits.slots` or `limits.step_tokens` if less", 1, SS_NO_SLOT - 1, NULL,
     "sequences in one step of a model"},
    {"limits.step_tokens", SS_KEY_U32, AT(limits.step_tokens_max), "512", NULL, 1, 65536, NULL,
     "tokens in one step; longer prompts take several"},
    {"limits.prompt_tokens", SS_KEY_U32, AT(limits.prompt_tokens_max), "0", NULL, 0,
     SS_PROMPT_TOKENS_MAX, NULL, "tokens of one prompt; 0: what the model's context allows"},
    {"limits.batches_in_flight", SS_KEY_U32, AT(limits.batches_in_flight), NULL, "pp + 1", 1, 64,
     NULL, "steps handed to the pipeline at once"},
    {"limits.loads_in_flight", SS_KEY_U32, AT(limits.loads_in_flight), "2", NULL, 1, 64, NULL,
     "models loaded at once"},
    {"limits.stall_max", SS_KEY_TIME, AT(limits.stall_max_ns), "10ms", NULL, 0, DAY_NS, NULL,
     "how long a step that waits for its load may hold up the steps of other models"},
    {"limits.step_time_max", SS_KEY_TIME, AT(limits.step_time_max_ns), "20ms", NULL, 0, DAY_NS,
     NULL,
     "of one step on one stage, by what steps were seen to take or by `profile`: prompts are "
     "sliced "
     "to it, so that urgent requests have their step soon; 0: only `limits.step_tokens` counts"},
    {"limits.overdue", SS_KEY_TIME, AT(limits.overdue_ns), "10s", NULL, 0, DAY_NS, NULL,
     "a request that waits longer for its first step overrides classes and the policy, also in a "
     "long overload: turns then begin every request of that age, at the price of long gaps "
     "between later tokens and of recomputation; 0: never, for no class"},
    {"limits.overdue_batch", SS_KEY_TIME, AT(limits.overdue_batch_ns), "10min", NULL, 0, DAY_NS,
     NULL,
     "the same for requests of class `batch`, so that they leave realtime and normal ones their "
     "places until then; `limits.overdue` at least counts"},
    {"limits.quantum", SS_KEY_TIME, AT(limits.quantum_ns), "1s", NULL, 0, DAY_NS, NULL,
     "how long a model serves overdue requests before the next model's turn, or as long as its "
     "load "
     "took, if that is longer"},
    {"limits.realtime_share", SS_KEY_SHARE, AT(limits.realtime_share), "0.8", NULL, 0, 0, NULL,
     "of steps and of time on the links, what realtime requests may hold while others wait, and "
     "normal ones while batch ones do; 0.99 at most counts"},
    {"limits.peer_timeout", SS_KEY_TIME, AT(limits.peer_timeout_ns), "10min", NULL, 10 * MS, DAY_NS,
     NULL,
     "a rank that waits longer than this for another, whose load and step it may have to wait for, "
     "gives the job up; so does the controller where no rank reports for so long"},

    {"emulate.copy_back", SS_KEY_BOOL, AT(emulate.copy_back), "false", NULL, 0, 0, NULL,
     "for comparison: a drop copies the weights back to the host"},
    {"emulate.wait_whole_load", SS_KEY_BOOL, AT(emulate.wait_whole_load), "false", NULL, 0, 0, NULL,
     "for comparison: no step before all ranks acknowledged the whole load"},
    {"emulate.poll", SS_KEY_BOOL, AT(emulate.poll), "false", NULL, 0, 0, NULL,
     "for comparison: decisions every 10 ms only, acknowledgements seen every 20 ms"},
    {"emulate.models", SS_KEY_U32, AT(emulate.models_max), "0", NULL, 0, 65534, NULL,
     "for comparison: so many models in at once at most, whatever the pool; 0: bytes decide"},

    {"policy", SS_KEY_CHOICE, AT(policy), "swap_aware", NULL, 0, 0, "lru|swap_aware",
     "which model is loaded next and which makes room: `lru` is oldest request, least recently "
     "used model; `swap_aware` goes by how long requests will wait"},
    {"swap_aware.price", SS_KEY_BOOL, AT(swap_aware.price), "true", NULL, 0, 0, NULL,
     "with `swap_aware`: whom to load and whom to drop follows from what it costs those who wait"},
    {"swap_aware.partial", SS_KEY_BOOL, AT(swap_aware.partial), "true", NULL, 0, 0, NULL,
     "with `swap_aware`: a victim loses only as many chunks as are needed"},
    {"swap_aware.stay", SS_KEY_BOOL, AT(swap_aware.stay), "true", NULL, 0, 0, NULL,
     "with `swap_aware`: a model at work earns its load back before it is dropped for an equal"},
    {"swap_aware.prefetch", SS_KEY_BOOL, AT(swap_aware.prefetch), "true", NULL, 0, 0, NULL,
     "with `swap_aware`: what is likely wanted next is loaded while the links are idle"},
    {"swap_aware.patience", SS_KEY_BOOL, AT(swap_aware.patience), "true", NULL, 0, 0, NULL,
     "with `swap_aware`: a step follows its load only when that is about to end, so that requests "
     "to resident models pass"},
    {"deterministic", SS_KEY_BOOL, AT(deterministic), NULL, "true on cpu, false on cuda", 0, 0,
     NULL, "a request's tokens do not depend on what it was batched with"},
    {"kv_block_tokens", SS_KEY_U32, AT(kv_block_tokens), "16", NULL, 1, 1024, NULL,
     "tokens in one block of the KV cache"},
    {"profile", SS_KEY_PATH, AT(profile), NULL, "the controller learns from what it sees", 0, 0,
     NULL,
     "file that says what the machine's links and computing are worth (configs/profiles); the "
     "controller plans with it, and swapsim needs it"},
    {"trace", SS_KEY_PATH, AT(trace), NULL, "no trace", 0, 0, NULL,
     "file for a trace of loads, steps and entries, for Perfetto or chrome://tracing"},
    {"log_level", SS_KEY_CHOICE, AT(log_level), "info", NULL, 0, 0, "debug|info|warning|error",
     "log lines under this level are dropped"},

    {"models[].name", SS_KEY_TEXT, OF(name), NULL, NULL, 1, SS_MODEL_NAME_BYTES_MAX, NULL,
     "what requests call the model: letters, digits and `. _ - / :`"},
    {"models[].path", SS_KEY_PATH, OF(path), NULL, "this or `synthetic` is required", 0, 0, NULL,
     "folder of a Hugging Face checkpoint (`config.json`, `model.safetensors`)"},
    {"models[].synthetic", SS_KEY_TEXT, OF(synthetic), NULL, "this or `path` is required", 1, 64,
     NULL, "published shape with random weights, such as `opt-13b`; needs no files"},
    {"models[].scale", SS_KEY_SHARE, OF(scale), "1", NULL, 0, 0, NULL,
     "synthetic: share of the published layers to keep"},
    {"models[].seed", SS_KEY_U64, OF(seed), "0", NULL, 0, ANY_MAX, NULL,
     "synthetic: what the random weights are made from"},
    {"models[].dtype", SS_KEY_CHOICE, OF(dtype), "f16", NULL, 0, 0, "f16|bf16|f32",
     "synthetic: type of the weights"},
    {"models[].tokenizer", SS_KEY_PATH, OF(tokenizer), NULL,
     "`tokenizer.json` of the folder, if there", 0, 0, NULL,
     "a `tokenizer.json`; without one the model takes and gives token ids only"},
    {"models[].context", SS_KEY_U32, OF(context_max), "0", NULL, 0, SS_PROMPT_TOKENS_MAX, NULL,
     "tokens of prompt and answer together; 0: the model's own maximum"},
    {"models[].batch", SS_KEY_U32, OF(batch_max), "0", NULL, 0, SS_NO_SLOT - 1, NULL,
     "sequences in one step of this model; 0: as `limits.batch`"},
    {"models[].count", SS_KEY_U32, OF(count), NULL, "one model, called by its name alone", 1,
     SS_MODELS_MAX, NULL,
     "synthetic: so many alike, called NAME-0, NAME-1, ..., with seeds counting up"},
    {"models[].pin", SS_KEY_BOOL, OF(pin), "false", NULL, 0, 0, NULL,
     "loaded at the start and never dropped"},
};

_Static_assert(sizeof keys / sizeof keys[0] <= SS_KEYS_MAX, "SS_KEYS_MAX is too small");

const struct ss_schema ss_config_schema = {
    .document = "a configuration (see configs/llm.yaml)",
    .keys = keys,
    .key_count = sizeof keys / sizeof keys[0],
    .list = "models",
    .item = "model",
    .item_bytes = sizeof(struct ss_config_model),
    .items_max = SS_MODELS_MAX,
};
