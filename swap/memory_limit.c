#include "swap/memory_limit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The names that the two versions of cgroups give to the same things. */
struct cgroup_files {
    const char *folder, *limit, *usage, *cache;
};
static const struct cgroup_files version_1 = {"sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                              "memory.usage_in_bytes", "total_inactive_file"};
static const struct cgroup_files version_2 = {"sys/fs/cgroup", "memory.max", "memory.current",
                                              "inactive_file"};

/* The start of a small text file; false if it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t used = 0;
    ssize_t got;
    while (used < size - 1 && (got = read(fd, text + used, size - 1 - used)) > 0)
        used += (size_t)got;
    close(fd);
    text[used] = 0;
    return used > 0;
}

/* The number after NAME at the start of a line. */
static bool find_number(const char *text, const char *name, uint64_t *number)
{
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && strchr(": \t", line[length]) && line[length])
            return sscanf(line + length + 1, "%" SCNu64, number) == 1;
    }
    return false;
}

static void lower(struct ss_memory_limit *limit, uint64_t bytes, const char *source)
{
    if (bytes >= limit->available_bytes)
        return;
    limit->available_bytes = bytes;
    snprintf(limit->source, sizeof limit->source, "%s", source);
}

static void read_machine(const char *root, struct ss_memory_limit *limit)
{
    char path[PATH_MAX], text[8192];
    uint64_t kib, pages, reserved = 0;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    if (!read_text(path, text, sizeof text))
        return;
    if (find_number(text, "MemAvailable", &kib))
        lower(limit, kib << 10, "the machine's available memory");
    (void)find_number(text, "HugePages_Rsvd", &reserved);
    if (find_number(text, "Hugepagesize", &kib) && kib == 2048 &&
        find_number(text, "HugePages_Free", &pages) && pages > reserved)
        limit->huge_bytes = (pages - reserved) << 21;
}

/* One number in a file of its own, or after CACHE in memory.stat. */
static bool read_number(const char *folder, const char *file, const char *name, uint64_t *number)
{
    char path[PATH_MAX], text[8192];
    int length = snprintf(path, sizeof path, "%s/%s", folder, file);
    if (length < 0 || (size_t)length >= sizeof path || !read_text(path, text, sizeof text))
        return false;
    return name ? find_number(text, name, number) : sscanf(text, "%" SCNu64, number) == 1;
}

static void read_cgroup(const char *folder, const struct cgroup_files *files,
                        struct ss_memory_limit *limit)
{
    uint64_t max, used = 0, cache = 0;
    char source[sizeof limit->source];
    /* "max", which is no number, is no limit. */
    if (!read_number(folder, files->limit, 0, &max) || !read_number(folder, files->usage, 0, &used))
        return;
    (void)read_number(folder, "memory.stat", files->cache, &cache);
    used -= cache < used ? cache : used;
    snprintf(source, sizeof source, "the limit of cgroup %.100s", folder);
    lower(limit, max > used ? max - used : 0, source);
}

/* A cgroup and all above it. In a container its path may be one of the host's, which is not there;
 * what is visible then lies at the top. */
static void read_cgroups(const char *root, const struct cgroup_files *files, const char *group,
                         struct ss_memory_limit *limit)
{
    char folder[PATH_MAX];
    int top = snprintf(folder, sizeof folder, "%s/%s", root, files->folder);
    int length = snprintf(folder, sizeof folder, "%s/%s%s", root, files->folder, group);
    if (length < 0 || (size_t)length >= sizeof folder)
        return;
    for (;;) {
        read_cgroup(folder, files, limit);
        char *slash = strrchr(folder, '/');
        if (!slash || slash < folder + top)
            return;
        *slash = 0;
    }
}

static bool lists(const char *controllers, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = controllers; (at = strstr(at, name)); at += length)
        if ((at == controllers || at[-1] == ',') && (!at[length] || at[length] == ','))
            return true;
    return false;
}

void ss_memory_limit_read(const char *root, struct ss_memory_limit *limit)
{
    char path[PATH_MAX], text[8192], *save = 0;
    *limit = (struct ss_memory_limit){.available_bytes = UINT64_MAX, .source = "nothing known"};
    read_machine(root, limit);
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!read_text(path, text, sizeof text))
        return;
    /* Lines are "id:controllers:path"; version 2 has id 0 and no controllers. */
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(0, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : 0;
        if (!group)
            continue;
        *group++ = 0;
        controllers++;
        if (!*controllers)
            read_cgroups(root, &version_2, group, limit);
        else if (lists(controllers, "memory"))
            read_cgroups(root, &version_1, group, limit);
    }
}
