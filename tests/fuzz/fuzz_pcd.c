/* Answers of a hostile card to the reader's side. Input: kind of session, then for each command its
 * number, the file's mode and answers (a length byte and the bytes each) as the reader asks. */
#include "desfire/pcd.h"

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)i;
}

/* A session under a key of zeros that the fuzzer does not get to know: what it says is refused
 * before it is read, except where there is no MAC. */
static void open_session(struct df_pcd *pcd, uint8_t kind)
{
    static const uint8_t zero[16];
    pcd->sm = (struct df_sm){.kind = kind % 4, .block = kind % 8 < 4 ? 16 : 8};
    if (pcd->sm.kind != DF_SM_NONE)
        crypto_key_init(&pcd->sm.mac, kind % 8 < 4 ? CRYPTO_AES128 : CRYPTO_TDEA2, zero);
    if (pcd->sm.kind == DF_SM_D40)
        crypto_key_init(&pcd->sm.mac, CRYPTO_TDEA2, zero);
}

static void request_from(struct df_request *r, struct b_rd *in)
{
    static const struct df_key aes = {.type = DF_KEY_AES}, des = {.type = DF_KEY_2K3DES};
    enum df_cmd cmd = (enum df_cmd)(b_rd_u8(in) % DF_CMD_COUNT);
    const struct df_cmd_row *row = df_cmd_row(cmd);
    uint8_t mode = b_rd_u8(in);
    df_req_plain(r, cmd);
    r->comm = mode % 3 == 2 ? DF_COMM_FULL : (enum df_comm)(mode % 3);
    r->head_len = row->head == DF_HEAD_ALL ? (uint8_t)row->min : row->head;
    r->data_len = row->head == DF_HEAD_ALL ? 0 : mode % 48;
    r->expect_len = mode / 16;
    bool is_des = cmd == DF_CMD_AUTHENTICATE_D40 || cmd == DF_CMD_AUTHENTICATE_ISO;
    r->key = is_des ? &des : &aes;
    r->old_key = mode % 2 == 0 ? &aes : NULL;
}

static void decode(struct b_rd answer)
{
    df_aid ids[4];
    struct df_df_name names[4];
    struct df_file_settings file;
    struct df_key_settings keys;
    struct df_version version;
    size_t n = 0;
    (void)!df_rsp_application_ids(answer, ids, B_COUNT(ids), &n);
    (void)!df_rsp_df_names(answer, names, B_COUNT(names), &n);
    (void)!df_rsp_file_settings(answer, &file);
    (void)!df_rsp_key_settings(answer, &keys);
    (void)!df_rsp_version(answer, &version);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct df_pcd pcd;
    static uint8_t answer[300];
    uint8_t apdu[DF_CAPDU_MAX];
    struct b_wr out = b_wr_from(apdu, sizeof(apdu));
    struct b_rd in = b_rd_from(data, size);
    df_pcd_init(&pcd, (struct df_random){.fill = fill});
    open_session(&pcd, b_rd_u8(&in));
    while (in.left > 0) {
        struct df_request r;
        request_from(&r, &in);
        enum df_want want = df_pcd_start(&pcd, &r, b_wr_from(answer, sizeof(answer)), &out);
        while (want == DF_TX) {
            size_t n = b_rd_u8(&in);
            want = df_pcd_step(&pcd, b_rd_take(&in, n < in.left ? n : in.left), &out);
        }
        if (want == DF_DONE)
            decode(df_pcd_answer(&pcd));
    }
    df_pcd_drop(&pcd);
    return 0;
}
