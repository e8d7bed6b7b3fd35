#include "tests/fault/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/memory.h"
#include "engine/serve/member.h"
#include "engine/serve/tokenizers.h"
#include "rpc/swapclient.h"

#define RANKS_MAX  16
#define REQUESTS   6
#define ANSWER_MS  20000
#define CONNECT_MS 1000

struct server {
    struct ss_config *config;
    struct ss_catalog *catalog;
    struct ss_tokenizer **tokenizers;
    struct ss_link *links[RANKS_MAX]; /* null once its rank has left */
    int ranks;
    _Atomic int wish; /* enum ss_member_wish */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char endpoint[256]; /* "" until rank 0 is ready */
    bool over;          /* rank 0 has left */
    struct server_outcome *outcome;
};

struct thread {
    struct server *server;
    int rank;
    pthread_t thread;
};

/* A sleeping rank looks at its wish when it is woken. */
static void want(struct server *server, enum ss_member_wish wish)
{
    pthread_mutex_lock(&server->lock);
    if (atomic_load(&server->wish) != SS_MEMBER_LEAVES)
        atomic_store(&server->wish, (int)wish);
    for (int i = 0; i < server->ranks; i++)
        if (server->links[i])
            server->links[i]->table->wake(server->links[i]);
    pthread_mutex_unlock(&server->lock);
}

static void fail(struct server *server, enum ss_status status)
{
    pthread_mutex_lock(&server->lock);
    if (!server->outcome->status) {
        server->outcome->status = status;
        snprintf(server->outcome->message, sizeof server->outcome->message, "%s",
                 ss_status_message());
    }
    pthread_mutex_unlock(&server->lock);
    want(server, SS_MEMBER_LEAVES);
}

static enum ss_member_wish wish(void *user)
{
    struct server *server = user;
    return (enum ss_member_wish)atomic_load(&server->wish);
}

static void say_ready(struct server *server, const char *endpoint)
{
    pthread_mutex_lock(&server->lock);
    snprintf(server->endpoint, sizeof server->endpoint, "%s", endpoint);
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void leave(struct server *server, int rank)
{
    pthread_mutex_lock(&server->lock);
    struct ss_link *link = server->links[rank];
    server->links[rank] = 0;
    server->over |= rank == 0;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    link->table->destroy(link);
}

static void *run_rank(void *argument)
{
    const struct thread *thread = argument;
    struct server *server = thread->server;
    const struct ss_member_options options = {.catalog = server->catalog,
                                              .link = server->links[thread->rank],
                                              .tokenizers =
                                                  thread->rank == 0 ? server->tokenizers : 0,
                                              .wish = wish,
                                              .user = server};
    struct ss_member *member = 0;
    enum ss_status status = ss_member_open(&options, &member);
    if (!status) {
        if (thread->rank == 0)
            say_ready(server, ss_member_endpoint(member, 0));
        status = ss_member_run(member);
        /* Who leaves because another failed has not drained either. */
        if (status || server->outcome->status || atomic_load(&server->wish) == SS_MEMBER_LEAVES) {
            if (status)
                fail(server, status);
            ss_member_abandon(member);
        } else {
            status = ss_member_finish(member);
        }
    }
    if (status)
        fail(server, status);
    ss_member_close(member);
    leave(server, thread->rank);
    return 0;
}

static enum ss_status open_server(const char *path, struct server *server)
{
    FILE *mistakes = fopen("/dev/null", "we");
    if (!mistakes)
        return ss_fail(SS_IO, "/dev/null cannot be opened");
    enum ss_status status = ss_config_read(path, mistakes, &server->config);
    if (!status)
        status = ss_catalog_open(server->config, mistakes, &server->catalog);
    if (!status)
        status = ss_catalog_check(server->catalog, mistakes);
    if (!status)
        status = ss_tokenizers_open(server->catalog, mistakes, &server->tokenizers);
    fclose(mistakes);
    if (status)
        return status;
    const struct ss_link_options options = {.message_bytes_max =
                                                ss_catalog_message_bytes_max(server->catalog),
                                            .credits = 16,
                                            .queue_max = 4096};
    status = ss_link_open_inproc(&options, server->config->group.tp * server->config->group.pp,
                                 server->links);
    server->ranks = status ? 0 : server->config->group.tp * server->config->group.pp;
    return status;
}

static void submit(struct swapclient *client, uint32_t index, struct swapclient_request **out)
{
    static const uint32_t tokens[] = {5, 6, 7, 8, 9, 10, 11, 12};
    struct swapclient_submit submit;
    swapclient_submit_init(&submit);
    submit.model = index % 2 ? "b" : "a";
    submit.tokens = tokens;
    submit.token_count = 3 + index;
    submit.max_tokens = 4 + 8 * index;
    submit.ignore_eos = true;
    submit.stream = index % 3 == 0;
    submit.class_name = index == 4 ? "realtime" : index == 5 ? "batch" : "normal";
    if (swapclient_submit(client, &submit, out))
        *out = 0;
}

static void collect(struct swapclient_request *request, bool cancels,
                    struct server_outcome *outcome)
{
    const struct swapclient_result *result;
    struct swapclient_piece piece = {0};
    int error = request ? 0 : SWAPCLIENT_E_NO_MEMORY;
    if (!error && cancels) {
        error = swapclient_next(request, ANSWER_MS, &piece);
        if (!error)
            error = swapclient_cancel(request);
    }
    if (!error)
        error = swapclient_wait(request, ANSWER_MS, &result);
    outcome->answered += !error;
    outcome->unanswered += error == SWAPCLIENT_E_TIMEOUT;
    swapclient_request_free(request);
}

static void ask_all(struct swapclient *client, struct server_outcome *outcome)
{
    struct swapclient_request *requests[REQUESTS] = {0};
    struct swapclient_status *status;
    struct swapclient_models *models;
    outcome->controls_failed += swapclient_load(client, "b", ANSWER_MS) != 0;
    for (uint32_t i = 0; i < REQUESTS; i++)
        submit(client, i, &requests[i]);
    if (swapclient_status(client, ANSWER_MS, &status))
        outcome->controls_failed++;
    else
        swapclient_status_free(status);
    outcome->asked = REQUESTS;
    for (uint32_t i = 0; i < REQUESTS; i++)
        collect(requests[i], i == 3, outcome);
    if (outcome->answered < REQUESTS) /* nobody may be there any more */
        return;
    outcome->controls_failed += swapclient_drop(client, "b", ANSWER_MS) != 0;
    if (swapclient_models(client, ANSWER_MS, &models))
        outcome->controls_failed++;
    else
        swapclient_models_free(models);
    outcome->controls_failed += swapclient_drain(client, ANSWER_MS) != 0;
}

static void be_client(struct server *server)
{
    struct swapclient_options options;
    struct swapclient *client;
    swapclient_options_init(&options);
    pthread_mutex_lock(&server->lock);
    while (!server->over && !server->endpoint[0])
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    options.endpoint = server->endpoint;
    options.connect_timeout_ms = CONNECT_MS;
    if (server->endpoint[0] && !swapclient_open(&client, &options)) {
        ask_all(client, server->outcome);
        swapclient_close(client);
    }
    /* Whatever became of the client's own. */
    want(server, SS_MEMBER_DRAINS);
}

void server_run(const char *path, struct server_outcome *outcome)
{
    struct server server = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .outcome = outcome};
    struct thread threads[RANKS_MAX];
    *outcome = (struct server_outcome){0};
    enum ss_status status = open_server(path, &server);
    if (status)
        fail(&server, status);
    for (int i = 0; i < server.ranks; i++) {
        threads[i] = (struct thread){.server = &server, .rank = i};
        pthread_create(&threads[i].thread, 0, run_rank, &threads[i]);
    }
    if (server.ranks > 0)
        be_client(&server);
    for (int i = 0; i < server.ranks; i++)
        pthread_join(threads[i].thread, 0);
    ss_tokenizers_close(server.tokenizers, server.catalog);
    ss_catalog_close(server.catalog);
    if (server.config)
        ss_config_destroy(server.config);
}
