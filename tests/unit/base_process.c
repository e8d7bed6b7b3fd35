/* Standard streams that are closed, and the limit of open files. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/process.h"

Test(base_process, closed_streams_are_given_to_null)
{
    struct stat null, found;
    cr_assert_eq(stat("/dev/null", &null), 0);
    int kept = dup(STDERR_FILENO), free_before = open("/dev/null", O_RDONLY);
    close(free_before);
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    ss_process_begin();
    cr_assert_eq(fstat(STDIN_FILENO, &found), 0);
    cr_expect_eq(found.st_rdev, null.st_rdev);
    cr_assert_eq(fstat(STDERR_FILENO, &found), 0);
    cr_expect_eq(found.st_rdev, null.st_rdev);
    dup2(kept, STDERR_FILENO);
    cr_expect_eq(fcntl(free_before, F_GETFD), -1, "nothing else stays open");
}

Test(base_process, open_files_to_the_hard_limit)
{
    struct rlimit files;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    rlim_t most = files.rlim_max;
    files.rlim_cur = 64;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    cr_expect_eq(ss_process_begin(), most);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    cr_expect_eq(files.rlim_cur, most);
}
