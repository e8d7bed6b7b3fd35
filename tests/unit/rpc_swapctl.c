/* swapctl, as a person runs it: what it prints, and how it exits. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "tests/unit/rpc_fake_engine.h"

static struct fake_engine engine;

struct run {
    int status;
    char output[16384]; /* of both streams */
};

static void set_up(void)
{
    struct ss_server_config config;
    ss_log_set_level(SS_LOG_ERROR);
    fake_config(&config, 0);
    setenv("SWAPSERVE_ENDPOINT", fake_engine_start(&engine, &config), 1);
    setenv("LC_ALL", "C", 1);
}

static void tear_down(void)
{
    fake_engine_stop(&engine);
}

TestSuite(rpc_swapctl, .init = set_up, .fini = tear_down, .timeout = 60);

static struct run run(const char *arguments)
{
    struct run out = {0};
    char command[1024];
    snprintf(command, sizeof command, "%s %s 2>&1", SWAPCTL, arguments);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    size_t size = fread(out.output, 1, sizeof out.output - 1, pipe);
    out.output[size] = 0;
    int status = pclose(pipe);
    out.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return out;
}

static void expect(const char *arguments, int status, const char *says)
{
    struct run out = run(arguments);
    cr_expect_eq(out.status, status, "%s: exit %d, want %d:\n%s", arguments, out.status, status,
                 out.output);
    cr_expect_not_null(strstr(out.output, says), "%s: does not say \"%s\":\n%s", arguments, says,
                       out.output);
}

Test(rpc_swapctl, submit)
{
    expect("submit echo hello -n 3", 0, "t0 t1 t2 \n");
    expect("submit echo hello -n 3", 0, "-- 5 + 3 tokens, length"); /* a byte is a token here */
    expect("submit echo hello -n 3 --no-stream", 0, "t0 t1 t2 \n");
    expect("submit ids --tokens 5,6,7 -n 2", 0, "0,1\n");
    expect("submit mirror --tokens 5,6,7 --json", 0, "\"prompt_tokens\": 3");
    expect("submit mirror 'a \"b\"' --json", 0, "\"text\": \"prompt=a \\\"b\\\" ");
    expect("submit mirror x -t 0.5 --top-k 3 --top-p 0.25 --seed 9 --stop A --stop B "
           "--stop-token 4 --ignore-eos --class batch --deadline 2",
           0,
           "temperature=0.5 top_k=3 top_p=0.25 seed=9 stop=A stop=B stop_token=4 ignore_eos=1 "
           "stream=1 class=batch deadline_ms=2000");
    expect("submit mirror - < /dev/null", 0, "prompt= tokens=0");
}

Test(rpc_swapctl, submit_that_fails)
{
    expect("submit nosuch hello", 1, "there is no model \"nosuch\"");
    expect("submit nosuch hello", 1, "swapctl models lists");
    expect("submit nosuch hello --json", 1, "\"code\": \"unknown_model\"");
    expect("submit fail hello", 1, "t0 \n");
    expect("submit stuck hello --deadline 0.05", 1, "deadline");
    expect("submit stuck hello --timeout 0.1", 4, "no last answer");
    expect("submit echo hello -n 0", 1, "max_tokens");
}

Test(rpc_swapctl, status)
{
    expect("status", 0, "swapserve 0.0-fake at tcp://127.0.0.1:");
    expect("status", 0, "75.0% of 2 s hidden");
    expect("status", 0, "[#####---------------]  25%");
    expect("status", 0, "[####################] 100%");
    expect("status", 0, "up 1 h 02 min");
    expect("status --json", 0, "\"hidden_ns\": 1500000000,");
    expect("models", 0, "ids     fake    absent");
    expect("models --json", 0, "\"context_tokens\": 2048");
}

Test(rpc_swapctl, control)
{
    expect("load echo", 0, "echo: loaded");
    expect("load nosuch", 1, "nosuch");
    expect("drop echo", 0, "echo: dropped");
    expect("drop stuck", 1, "in use");
    expect("drain", 0, "draining");
    expect("submit echo x", 1, "draining");
    expect("status", 0, "DRAINING");
    expect("shutdown --json", 0, "\"ok\": true");
    cr_expect(engine.draining && engine.shutdown);
}

Test(rpc_swapctl, usage)
{
    expect("", 2, "a command is missing");
    expect("frobnicate", 2, "no command \"frobnicate\"");
    expect("submit", 2, "name of a model is missing");
    expect("submit echo", 2, "want TEXT or --tokens, found neither");
    expect("submit echo x --tokens 1", 2, "found both");
    expect("submit echo two words", 2, "needs quotes");
    expect("submit echo --tokens 1,x", 2, "id 2");
    expect("submit echo x --seed -1", 2, "--seed");
    expect("submit echo x --temperature nan", 2, "--temperature");
    expect("submit echo x --class urgent", 2, "urgent");
    expect("status --seed 1", 2, "--seed is for submit");
    expect("load echo --watch", 2, "--watch is for status");
    expect("status -e nowhere", 2, "tcp://HOST:PORT");
    expect("--help", 0, "SWAPSERVE_ENDPOINT");
    expect("--version", 0, "swapctl 0.");
}

Test(rpc_swapctl, no_server)
{
    expect("status -e ipc:///tmp/swapserve-no-such-socket", 3,
           "Is a server running at ipc:///tmp/swapserve-no-such-socket");
    expect("status -e ipc:///tmp/swapserve-no-such-socket", 3, "mpirun -np 4 swapserve");
}

Test(rpc_swapctl, interrupt_cancels)
{
    char program[] = SWAPCTL;
    char *argv[] = {program, (char[]){"submit"}, (char[]){"stuck"}, (char[]){"x"}, 0};
    int status;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        execv(program, argv);
        _exit(99);
    }
    for (int i = 0; engine.accepted < 1 && i < 10000; i++)
        usleep(1000);
    cr_assert_eq(engine.accepted, 1);
    kill(child, SIGINT);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %x", status);
    cr_expect_eq(engine.cancels, 1);
    cr_expect_eq(engine.answered, 1);
}
