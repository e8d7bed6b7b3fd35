/* Makes checkpoint folders for tests. */
#ifndef SS_TESTS_UNIT_SWAP_CHECKPOINT_FILES_H
#define SS_TESTS_UNIT_SWAP_CHECKPOINT_FILES_H

#include <criterion/criterion.h>

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A fresh folder; removed with its files by remove_folder(). */
static inline char *make_folder(void)
{
    char *folder = strdup("/tmp/swapserve-test-XXXXXX");
    cr_assert(folder && mkdtemp(folder));
    return folder;
}

static inline int remove_one(const char *path, const struct stat *file, int type, struct FTW *place)
{
    (void)file, (void)type, (void)place;
    return remove(path);
}

static inline void remove_folder(char *folder)
{
    cr_assert_eq(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(folder);
}

static inline void write_file(const char *folder, const char *name, const void *bytes, size_t count)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

static inline void write_text(const char *folder, const char *name, const char *text)
{
    write_file(folder, name, text, strlen(text));
}

/* A safetensors file of HEADER and DATA. */
static inline void write_safetensors(const char *folder, const char *name, const char *header,
                                     const void *data, size_t data_bytes)
{
    size_t length = strlen(header);
    unsigned char *file = calloc(1, 8 + length + data_bytes);
    cr_assert(file);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(file + 8, header, length);
    if (data_bytes)
        memcpy(file + 8 + length, data, data_bytes);
    write_file(folder, name, file, 8 + length + data_bytes);
    free(file);
}

#endif
