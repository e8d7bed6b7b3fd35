/* What memory may still be taken, read from made-up machines. */
#include "tests/unit/swap_checkpoint_files.h"

#include <sys/stat.h>

#include "swap/memory_limit.h"

static char *root;

static void make(void)
{
    root = make_folder();
}

static void unmake(void)
{
    remove_folder(root);
}

TestSuite(memory_limit, .init = make, .fini = unmake);

/* Writes ROOT/PATH, making its folders. */
static void put(const char *path, const char *text)
{
    char folder[300];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%s/%.*s", root, (int)(slash - path), path);
        (void)mkdir(folder, 0700);
    }
    write_text(root, path, text);
}

#define MEMINFO                                                                           \
    "MemTotal:       24000000 kB\nMemFree:         100 kB\nMemAvailable:   20000000 kB\n" \
    "HugePages_Total:      40\nHugePages_Free:       30\nHugePages_Rsvd:       10\n"      \
    "Hugepagesize:       2048 kB\n"

static struct ss_memory_limit limit(void)
{
    struct ss_memory_limit found;
    ss_memory_limit_read(root, &found);
    return found;
}

Test(memory_limit, nothing_known_limits_nothing)
{
    cr_assert_eq(limit().available_bytes, UINT64_MAX);
    cr_assert_eq(limit().huge_bytes, 0);
}

Test(memory_limit, the_machine_limits)
{
    put("proc/meminfo", MEMINFO);
    cr_assert_eq(limit().available_bytes, 20000000ull << 10);
    cr_assert_eq(limit().huge_bytes, 20ull << 21);
    cr_assert(strstr(limit().source, "machine"));
}

Test(memory_limit, a_cgroup_above_limits_too)
{
    put("proc/meminfo", MEMINFO);
    put("proc/self/cgroup", "0::/jobs/one\n");
    put("sys/fs/cgroup/jobs/one/memory.max", "max\n");
    put("sys/fs/cgroup/jobs/one/memory.current", "5000\n");
    cr_assert_eq(limit().available_bytes, 20000000ull << 10);
    put("sys/fs/cgroup/jobs/memory.max", "1000000\n");
    put("sys/fs/cgroup/jobs/memory.current", "700000\n");
    put("sys/fs/cgroup/jobs/memory.stat", "anon 1\nactive_file 9\ninactive_file 50000\n");
    cr_assert_eq(limit().available_bytes, 350000);
    cr_assert(strstr(limit().source, "cgroup/jobs"));
    put("sys/fs/cgroup/jobs/one/memory.max", "6000\n");
    cr_assert_eq(limit().available_bytes, 1000);
    put("sys/fs/cgroup/jobs/one/memory.current", "7000\n");
    cr_assert_eq(limit().available_bytes, 0);
}

Test(memory_limit, a_container_sees_its_own_at_the_top)
{
    put("proc/self/cgroup", "0::/../elsewhere/deep\n");
    put("sys/fs/cgroup/memory.max", "3000\n");
    put("sys/fs/cgroup/memory.current", "1000\n");
    cr_assert_eq(limit().available_bytes, 2000);
}

Test(memory_limit, version_one_limits_too)
{
    put("proc/self/cgroup", "5:cpu,memory:/a/b\n4:memoryless:/x\n0::/\n");
    put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "100\n");
    put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "4000\n");
    put("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1500\n");
    put("sys/fs/cgroup/memory/a/memory.stat", "inactive_file 7\ntotal_inactive_file 500\n");
    put("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1\n");
    put("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1\n");
    cr_assert_eq(limit().available_bytes, 3000);
}

Test(memory_limit, this_machine_has_some)
{
    struct ss_memory_limit found;
    ss_memory_limit_read("", &found);
    cr_assert_gt(found.available_bytes, 1 << 20);
    cr_assert_lt(found.available_bytes, 1ull << 60);
}
