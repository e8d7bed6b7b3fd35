/* Doorbells between processes: every rank has one page in a memfd of its own, which its peers on
 * the node map through /proc. Memory of that kind has no name, so a killed job leaves none. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "pipeline/link/mpi/mpi_link.h"

#define PAGE_BYTES 4096

/* What a rank tells the others. NODE is the kernel's boot id, or SWAPSERVE_NODE in the environment,
 * which lets a test have two nodes on one machine. */
struct card {
    char node[64];
    uint64_t cookie;
    int pid, fd;
};

static void node_name(char *name, size_t bytes)
{
    const char *given = getenv("SWAPSERVE_NODE");
    snprintf(name, bytes, "%s", given ? given : "");
    if (given)
        return;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file || !fgets(name, (int)bytes, file))
        snprintf(name, bytes, "?%d", (int)getpid()); /* alone, as far as anyone can tell */
    if (file)
        fclose(file);
}

static enum ss_status page_create(struct ss_mpi_link *link)
{
    link->page_fd = memfd_create("swapserve-doorbell", MFD_CLOEXEC);
    if (link->page_fd < 0)
        return ss_fail_errno(SS_IO, errno, "link: cannot create the doorbell's memory");
    if (ftruncate(link->page_fd, PAGE_BYTES) != 0)
        return ss_fail_errno(SS_NO_MEMORY, errno, "link: cannot size the doorbell's memory");
    void *page = mmap(0, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, link->page_fd, 0);
    if (page == MAP_FAILED)
        return ss_fail_errno(SS_NO_MEMORY, errno, "link: cannot map the doorbell's memory");
    link->page = page;
    if (getrandom(&link->page->cookie, sizeof link->page->cookie, 0) < 0)
        return ss_fail_errno(SS_IO, errno, "link: no random number for the doorbell");
    return SS_OK;
}

/* Null where the peer's memory cannot be reached, as from another container. */
static struct ss_mpi_page *page_attach(const struct card *card)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", card->pid, card->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0;
    void *page = mmap(0, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED)
        return 0;
    if (((struct ss_mpi_page *)page)->cookie != card->cookie) {
        munmap(page, PAGE_BYTES);
        return 0;
    }
    return page;
}

/* Two ranks are neighbours when each has mapped the other's page: one that cannot ring must not be
 * waited for. */
static enum ss_status agree(struct ss_mpi_link *link)
{
    int ranks = link->link.ranks;
    int rank = link->link.rank;
    char *row;
    enum ss_status status = ss_alloc(&row, (size_t)(ranks + 1) * (size_t)ranks, 1, "a link's map");
    if (status != SS_OK)
        return status;
    char *rows = row + ranks;
    for (int peer = 0; peer < ranks; peer++)
        row[peer] = link->peers[peer].page != 0;
    status = ss_mpi_all_gather(&link->link, row, (size_t)ranks, rows);
    for (int peer = 0; peer < ranks && status == SS_OK; peer++) {
        if (peer == rank || (row[peer] && rows[peer * ranks + rank]))
            continue;
        if (link->peers[peer].page)
            munmap(link->peers[peer].page, PAGE_BYTES);
        link->peers[peer].page = 0;
        link->remote = true;
    }
    ss_free(row);
    return status;
}

enum ss_status ss_mpi_node_open(struct ss_mpi_link *link)
{
    int ranks = link->link.ranks;
    struct card *cards = 0;
    struct card mine = {.pid = (int)getpid()};
    enum ss_status status = page_create(link);
    if (status != SS_OK)
        return status;
    status = ss_alloc(&cards, (size_t)ranks, sizeof *cards, "a link's cards");
    if (status != SS_OK)
        return status;
    node_name(mine.node, sizeof mine.node);
    mine.cookie = link->page->cookie;
    mine.fd = link->page_fd;
    status = ss_mpi_all_gather(&link->link, &mine, sizeof mine, cards);
    for (int peer = 0; peer < ranks && status == SS_OK; peer++) {
        if (peer == link->link.rank || strncmp(cards[peer].node, mine.node, sizeof mine.node) != 0)
            continue;
        link->peers[peer].page = page_attach(&cards[peer]);
    }
    if (status == SS_OK)
        status = agree(link); /* and so nobody needs the descriptors any more */
    ss_free(cards);
    if (link->page_fd >= 0)
        close(link->page_fd);
    link->page_fd = -1;
    return status;
}

void ss_mpi_node_close(struct ss_mpi_link *link)
{
    for (int peer = 0; link->peers && peer < link->link.ranks; peer++)
        if (link->peers[peer].page)
            munmap(link->peers[peer].page, PAGE_BYTES);
    if (link->page)
        munmap(link->page, PAGE_BYTES);
    if (link->page_fd >= 0)
        close(link->page_fd);
}
