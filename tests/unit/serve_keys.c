/* The files of CURVE keys. */
#include "engine/serve/keys.h"

#include "tests/unit/swap_checkpoint_files.h"

/* # is a character of Z85: the first has one inside, the second begins with one. */
#define KEY_A "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{#19"
#define KEY_B "#rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf"

struct files {
    char folder[64], secret[80], clients[80];
    struct ss_config config;
};

static struct files write_files(const char *secret, const char *clients)
{
    struct files files = {.folder = "/tmp/swapserve-test-XXXXXX"};
    cr_assert(mkdtemp(files.folder));
    snprintf(files.secret, sizeof files.secret, "%s/secret", files.folder);
    snprintf(files.clients, sizeof files.clients, "%s/clients", files.folder);
    write_text(files.folder, "secret", secret);
    write_text(files.folder, "clients", clients);
    return files;
}

static enum ss_status read_files(struct files *files, struct ss_keys *keys)
{
    files->config.server.curve_secret_key_file = files->secret;
    files->config.server.curve_client_keys_file = files->clients;
    enum ss_status status = ss_keys_read(&files->config, keys);
    cr_assert(!unlink(files->secret) && !unlink(files->clients) && !rmdir(files->folder));
    return status;
}

Test(serve_keys, no_files_no_keys)
{
    struct ss_config config = {0};
    struct ss_keys keys = {.client_count = 77};
    cr_assert_eq(ss_keys_read(&config, &keys), SS_OK);
    cr_assert(!keys.secret && !keys.clients && keys.client_count == 0);
    ss_keys_release(&keys);
}

Test(serve_keys, good_files)
{
    char clients[4096];
    char comment[1000];
    memset(comment, 'c', sizeof comment - 1);
    comment[sizeof comment - 1] = 0;
    snprintf(clients, sizeof clients,
             "# who may come in: %s\n\n%s # alice\r\n  \t%s\t\n#\n   # bob was here\n%s", comment,
             KEY_A, KEY_B, KEY_A);
    struct files files = write_files("# the server's own\n" KEY_A "\n", clients);
    struct ss_keys keys;
    cr_assert_eq(read_files(&files, &keys), SS_OK, "%s", ss_status_message());
    cr_assert_str_eq(keys.secret, KEY_A);
    cr_assert_eq(keys.client_count, 3);
    cr_assert_str_eq(keys.clients[0], KEY_A);
    cr_assert_str_eq(keys.clients[1], KEY_B);
    cr_assert_str_eq(keys.clients[2], KEY_A, "the last line may lack its end");
    ss_keys_release(&keys);
}

static void refuse(const char *secret, const char *clients, const char *right)
{
    struct files files = write_files(secret, clients);
    struct ss_keys keys = {.client_count = 77};
    cr_assert_neq(read_files(&files, &keys), SS_OK, "%s", right);
    cr_assert_eq(keys.client_count, 77, "an out-parameter was set");
    cr_assert(strstr(ss_status_message(), right), "no %s in: %s", right, ss_status_message());
    cr_assert(strstr(ss_status_message(), files.folder), "%s", ss_status_message());
    cr_assert_null(strstr(ss_status_message(), "Yne@"), "a key was shown");
}

Test(serve_keys, bad_files)
{
    refuse("# nothing\n", KEY_A, "/secret: found 0 keys, expected one");
    refuse(KEY_A "\n" KEY_B, KEY_A, "/secret: found 2 keys, expected one");
    refuse("\n" KEY_A "x\n", KEY_A, "/secret:2: found 41 characters, a key has 40");
    refuse(KEY_A, KEY_A "\nYne@$w-vo<fVvi]\n", "/clients:2: found 15 characters, a key has 40");
    refuse(KEY_A, KEY_B " " KEY_A, "/clients:1: found text behind the key");
    refuse(KEY_A, "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{,19",
           "/clients:1: character 38 is not of the Z85 alphabet");
}

Test(serve_keys, missing_files)
{
    struct ss_config config = {0};
    struct ss_keys keys;
    config.server.curve_secret_key_file = strdup("/nonexistent/secret");
    cr_assert_eq(ss_keys_read(&config, &keys), SS_IO);
    cr_assert(strstr(ss_status_message(), "/nonexistent/secret"), "%s", ss_status_message());
    free(config.server.curve_secret_key_file);
}
