#include "tests/fault/group.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/serve/catalog.h"
#include "engine/serve/node.h"
#include "pipeline/link/agree.h"

#define RANKS_MAX   16
#define ACTIONS_MAX 128
#define TURN_NS     (20 * SS_NS_PER_MS)

struct group {
    struct ss_config *config;
    struct ss_catalog *catalog;
    struct ss_link *links[RANKS_MAX];
    int ranks;
    atomic_bool abandoned; /* some rank failed: all leave */
    pthread_mutex_t lock;  /* guards the outcome's failure */
    struct group_outcome *outcome;
    struct group_request *requests;
    uint32_t count, window;
};

/* Rank 0's part besides its stage: the controller and what drives it. */
struct driver {
    struct group *group;
    struct ss_controller *controller;
    struct ss_rank *rank;
    struct ss_action actions[ACTIONS_MAX];
    struct ss_opening opening; /* of the request that is being encoded */
    unsigned char *message;
    size_t message_bytes_max;
    uint64_t last_entry, timer_ns;
    uint32_t sent, answered;
    bool draining;
    uint64_t loaded[RANKS_MAX], copied_back[RANKS_MAX];
};

struct member {
    struct group *group;
    struct ss_link *link;
    struct ss_node node;
    struct ss_rank *rank;
    struct driver *driver; /* rank 0 */
};

static void abandon(struct group *group, enum ss_status status)
{
    pthread_mutex_lock(&group->lock);
    if (!group->outcome->status) {
        group->outcome->status = status;
        snprintf(group->outcome->message, sizeof group->outcome->message, "%s",
                 ss_status_message());
    }
    pthread_mutex_unlock(&group->lock);
    atomic_store(&group->abandoned, true);
}

static const struct ss_opening *find_opening(void *user, uint64_t handle)
{
    struct driver *driver = user;
    const struct group_request *request = &driver->group->requests[handle - 1];
    driver->opening = (struct ss_opening){.temperature = request->temperature,
                                          .top_p = 1,
                                          .seed = request->seed,
                                          .length_max = request->prompt_count + request->max_tokens,
                                          .prompt_count = request->prompt_count,
                                          .prompt = request->prompt};
    return &driver->opening;
}

static void send_entry(struct driver *driver, const struct ss_entry *entry)
{
    size_t bytes;
    enum ss_status status = ss_entry_encode(entry, find_opening, driver, driver->message,
                                            driver->message_bytes_max, &bytes);
    if (!status)
        status = ss_rank_send_entry(driver->group->links[0], driver->group->catalog->tp,
                                    driver->message, bytes);
    if (status)
        abandon(driver->group, status);
    driver->last_entry = entry->number;
}

static void take_token(struct driver *driver, const struct ss_action *action)
{
    struct group_request *request = &driver->group->requests[action->request - 1];
    if (request->token_count < GROUP_TOKENS_MAX)
        request->tokens[request->token_count] = action->token;
    request->token_count++;
}

static void take_end(struct driver *driver, const struct ss_action *action)
{
    struct group_request *request = &driver->group->requests[action->request - 1];
    request->ended = true;
    request->reason = (int)action->reason;
    driver->answered++;
}

static void carry_out(struct driver *driver, const struct ss_action *action)
{
    switch (action->kind) {
    case SS_ACTION_SEND:
        send_entry(driver, &action->entry);
        return;
    case SS_ACTION_TOKEN:
        take_token(driver, action);
        return;
    case SS_ACTION_END:
    case SS_ACTION_REFUSE:
        take_end(driver, action);
        return;
    case SS_ACTION_TIMER:
        driver->timer_ns = action->at_ns;
        return;
    case SS_ACTION_DRAINED: {
        struct ss_entry stop = {.number = driver->last_entry + 1, .kind = SS_ENTRY_STOP};
        send_entry(driver, &stop);
        return;
    }
    case SS_ACTION_CONTROL_DONE:
        return;
    case SS_ACTION_LOST:
        abandon(driver->group,
                ss_fail(SS_PEER_LOST, "rank %u is lost: %s (%llu)", action->rank,
                        ss_loss_text(action->loss), (unsigned long long)action->number));
        return;
    }
}

static void feed(struct driver *driver, const struct ss_event *event)
{
    uint32_t count = event ? 1 : 0, made;
    do {
        made = ss_controller_step(driver->controller, ss_now_ns(), event, count, driver->actions,
                                  ACTIONS_MAX);
        for (uint32_t i = 0; i < made; i++)
            carry_out(driver, &driver->actions[i]);
        count = 0;
    } while (made >= ACTIONS_MAX - 1);
    ss_controller_check(driver->controller);
}

/* New requests while the window has room, cancels that are due, and the drain at the end. */
static void play_clients(struct driver *driver)
{
    struct group *group = driver->group;
    while (driver->sent < group->count && driver->sent - driver->answered < group->window) {
        const struct group_request *request = &group->requests[driver->sent];
        struct ss_event event = {.kind = SS_EVENT_ARRIVED,
                                 .class = SS_CLASS_NORMAL,
                                 .request = ++driver->sent,
                                 .model = request->model,
                                 .prompt_tokens = request->prompt_count,
                                 .max_tokens = request->max_tokens};
        feed(driver, &event);
    }
    for (uint32_t i = 0; i < driver->sent; i++) {
        struct group_request *request = &group->requests[i];
        if (request->ended || !request->cancel_after ||
            request->token_count < request->cancel_after)
            continue;
        struct ss_event event = {
            .kind = SS_EVENT_CANCELLED, .request = i + 1, .reason = SS_END_CANCELLED};
        request->cancel_after = 0;
        feed(driver, &event);
    }
    if (driver->answered == group->count && !driver->draining) {
        struct ss_event event = {.kind = SS_EVENT_DRAIN};
        driver->draining = true;
        feed(driver, &event);
    }
}

static void on_report(void *user, const struct ss_report *report)
{
    struct member *member = user;
    struct driver *driver = member->driver;
    struct ss_event event = {.kind = SS_EVENT_REPORT, .report = report};
    driver->loaded[report->rank] = report->bytes_to_device;
    driver->copied_back[report->rank] = report->bytes_to_host;
    if (report->kind == SS_REPORT_FAILED) {
        enum ss_status status = ss_fail(SS_PEER_LOST, "rank %u failed: %.*s", report->rank,
                                        (int)report->message_bytes, report->message);
        struct ss_event lost = {.kind = SS_EVENT_RANK_LOST, .rank = report->rank};
        feed(driver, &lost);
        abandon(driver->group, status);
        return;
    }
    feed(driver, &event);
}

static uint64_t on_turn(void *user)
{
    struct member *member = user;
    struct driver *driver = member->driver;
    uint64_t now = ss_now_ns();
    if (atomic_load(&member->group->abandoned))
        ss_rank_leave(member->rank);
    else if (driver)
        play_clients(driver);
    if (driver && driver->timer_ns && now >= driver->timer_ns) {
        struct ss_event event = {.kind = SS_EVENT_TIMER};
        driver->timer_ns = 0;
        feed(driver, &event);
    }
    /* A rank that failed wakes nobody: look around often. */
    return now + TURN_NS;
}

static enum ss_status open_driver(struct group *group, struct driver *driver)
{
    struct ss_controller_model *models;
    struct ss_controller_options options;
    enum ss_status status =
        ss_alloc(&models, (size_t)group->catalog->model_count, sizeof *models, "controller models");
    if (status)
        return status;
    driver->group = group;
    driver->message_bytes_max = ss_catalog_message_bytes_max(group->catalog);
    ss_catalog_controller_options(group->catalog, models, &options);
    status = ss_controller_create(&options, &driver->controller);
    if (!status)
        status = ss_alloc(&driver->message, 1, driver->message_bytes_max, "message");
    ss_free(models);
    return status;
}

static void close_driver(struct driver *driver)
{
    struct ss_controller_view view = {0};
    struct group_outcome *outcome = driver->group ? driver->group->outcome : 0;
    if (driver->controller) {
        ss_controller_view(driver->controller, &view);
        ss_controller_destroy(driver->controller);
    }
    if (outcome) {
        outcome->answered = driver->answered;
        outcome->loads = view.loads;
        outcome->drops = view.drops;
        for (int i = 0; i < RANKS_MAX; i++) {
            outcome->loaded_bytes += driver->loaded[i];
            outcome->copied_back_bytes += driver->copied_back[i];
        }
    }
    ss_free(driver->message);
}

static enum ss_status serve(struct member *member)
{
    struct group *group = member->group;
    struct ss_rank_options options = {.link = member->link,
                                      .stage = member->node.executor,
                                      .reporter = &member->node.reporter,
                                      .tp = group->catalog->tp,
                                      .message_bytes_max =
                                          ss_catalog_message_bytes_max(group->catalog),
                                      .patience_ns = group->catalog->config->limits.peer_timeout_ns,
                                      .on_report = member->driver ? on_report : 0,
                                      .on_turn = on_turn,
                                      .user = member};
    enum ss_status status = SS_OK;
    if (member->driver)
        status = open_driver(group, member->driver);
    if (!status)
        status = ss_rank_create(&options, &member->rank);
    status = ss_agree(member->link, status);
    if (!status) {
        if (member->driver)
            member->driver->rank = member->rank;
        status = ss_rank_run(member->rank);
    }
    return status;
}

static void *run_member(void *argument)
{
    struct member *member = argument;
    struct driver *driver = 0;
    enum ss_status status = SS_OK;
    if (member->link->rank == 0)
        status = ss_alloc(&driver, 1, sizeof *driver, "driver");
    member->driver = driver;
    status = ss_agree(member->link, status);
    if (!status)
        status = ss_node_open(member->group->catalog, member->link, 0, &member->node);
    if (!status)
        status = serve(member);
    if (status)
        abandon(member->group, status);
    ss_rank_destroy(member->rank);
    if (driver)
        close_driver(driver);
    ss_node_close(&member->node);
    ss_free(driver);
    member->link->table->destroy(member->link);
    return 0;
}

static enum ss_status open_group(const char *path, struct group *group)
{
    FILE *mistakes = fopen("/dev/null", "we");
    if (!mistakes)
        return ss_fail(SS_IO, "/dev/null cannot be opened");
    enum ss_status status = ss_config_read(path, mistakes, &group->config);
    if (!status)
        status = ss_catalog_open(group->config, mistakes, &group->catalog);
    if (!status)
        status = ss_catalog_check(group->catalog, mistakes);
    fclose(mistakes);
    if (status)
        return status;
    const struct ss_link_options options = {.message_bytes_max =
                                                ss_catalog_message_bytes_max(group->catalog),
                                            .credits = 16,
                                            .queue_max = 4096};
    group->ranks = group->config->group.tp * group->config->group.pp;
    return ss_link_open_inproc(&options, group->ranks, group->links);
}

void group_run(const char *path, struct group_request *requests, uint32_t count, uint32_t window,
               struct group_outcome *outcome)
{
    struct group group = {.lock = PTHREAD_MUTEX_INITIALIZER,
                          .outcome = outcome,
                          .requests = requests,
                          .count = count,
                          .window = window};
    struct member members[RANKS_MAX];
    pthread_t threads[RANKS_MAX];
    *outcome = (struct group_outcome){0};
    memset(members, 0, sizeof members);
    enum ss_status status = open_group(path, &group);
    if (status)
        abandon(&group, status);
    for (int i = 0; i < group.ranks && !status; i++) {
        members[i] = (struct member){.group = &group, .link = group.links[i]};
        pthread_create(&threads[i], 0, run_member, &members[i]);
    }
    for (int i = 0; i < group.ranks && !status; i++)
        pthread_join(threads[i], 0);
    ss_catalog_close(group.catalog);
    if (group.config)
        ss_config_destroy(group.config);
}
