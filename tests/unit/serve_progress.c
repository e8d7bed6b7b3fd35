/* The progress line, where standard error is no terminal. */
#include "engine/serve/progress.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/clock.h"

static int caught = -1, kept = -1;

static void catch_stderr(void)
{
    fflush(stderr);
    caught = memfd_create("stderr", 0);
    kept = dup(STDERR_FILENO);
    cr_assert(caught >= 0 && kept >= 0 && dup2(caught, STDERR_FILENO) >= 0);
}

/* What was written since; standard error is itself again. */
static const char *release_stderr(void)
{
    static char text[4096];
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t bytes = pread(caught, text, sizeof text - 1, 0);
    text[bytes > 0 ? bytes : 0] = 0;
    close(caught);
    return text;
}

static void run(struct ss_progress *progress, uint64_t age_ns, bool active)
{
    ss_progress_begin(progress, "filling", 4000000, active);
    progress->begun_ns -= age_ns;
    progress->shown_ns -= age_ns;
    ss_progress_add(progress, 1000000);
    ss_progress_add(progress, 1000000);
    ss_progress_end(progress);
}

Test(serve_progress, a_moment_is_not_worth_a_line)
{
    struct ss_progress progress;
    catch_stderr();
    run(&progress, 0, true);
    const char *text = release_stderr();
    cr_assert_str_empty(text);
    cr_assert_eq(progress.done_bytes, 2000000);
}

Test(serve_progress, other_ranks_say_nothing)
{
    struct ss_progress progress;
    catch_stderr();
    run(&progress, 20 * SS_NS_PER_S, false);
    const char *text = release_stderr();
    cr_assert_str_empty(text);
    cr_assert_eq(progress.done_bytes, 2000000);
}

Test(serve_progress, a_line_now_and_then_and_one_at_the_end)
{
    struct ss_progress progress;
    catch_stderr();
    run(&progress, 10 * SS_NS_PER_S, true);
    const char *text = release_stderr();
    cr_assert(strstr(text, "filling: 25%, "), "%s", text);
    cr_assert_null(strstr(text, "50%"), "the second came too soon: %s", text);
    cr_assert(strstr(text, "filling: 2.0 MB in 10.0 s"), "%s", text);
    cr_assert_null(strchr(text, '\r'), "a bar is for terminals");
}

Test(serve_progress, nothing_to_do_is_all_done)
{
    struct ss_progress progress;
    catch_stderr();
    ss_progress_begin(&progress, "filling", 0, true);
    progress.shown_ns -= 10 * SS_NS_PER_S;
    ss_progress_add(&progress, 0);
    const char *text = release_stderr();
    cr_assert(strstr(text, "filling: 100%, "), "%s", text);
}
