/* Decoders of plain answers: what cmd.def calls fields, as structs. */
#include <string.h>

#include "crypto/crypto.h"
#include "desfire/request.h"

enum df_ev df_version_ev(const struct df_version *v)
{
    switch (v->hw_major) {
    case 0x00:
        return DF_EV_D40;
    case 0x01:
        return DF_EV1;
    case 0x12:
    case 0x22: /* EV2 XL */
        return DF_EV2;
    default:
        return v->hw_major < 0x12 ? DF_EV1 : DF_EV3;
    }
}

uint32_t df_storage_bytes(uint8_t code)
{
    unsigned power = code >> 1;
    if (power > 24)
        return 0;
    /* Bit 0: between this power of two and the next. */
    return (1u << power) + ((code & 1) != 0 ? (1u << power) / 2 : 0);
}

bool df_rsp_version(struct b_rd in, struct df_version *ret)
{
    static_assert(sizeof(*ret) == 28, "the struct is the answer: bytes only, no padding");
    if (in.bad || in.left != sizeof(*ret))
        return false;
    b_rd_bytes(&in, ret, sizeof(*ret));
    return b_rd_end(&in);
}

bool df_rsp_application_ids(struct b_rd in, df_aid *ids, size_t cap, size_t *ret_count)
{
    size_t n = in.left / 3;
    if (in.bad || in.left % 3 != 0 || n > cap)
        return false;
    for (size_t i = 0; i < n; i++)
        ids[i] = b_rd_le24(&in);
    *ret_count = n;
    return b_rd_end(&in);
}

bool df_rsp_file_ids(struct b_rd in, uint8_t *ids, size_t cap, size_t *ret_count)
{
    size_t n = in.left;
    if (in.bad || n > cap)
        return false;
    b_rd_bytes(&in, ids, n);
    *ret_count = n;
    return b_rd_end(&in);
}

bool df_rsp_key_settings(struct b_rd in, struct df_key_settings *ret)
{
    struct df_key_settings s = {.settings = b_rd_u8(&in)};
    uint8_t keys = b_rd_u8(&in);
    if (!b_rd_ok(&in) || (keys & 0xC0) == 0xC0)
        return false;
    s.type = (keys & 0x80) != 0 ? DF_KEY_AES : (keys & 0x40) != 0 ? DF_KEY_3K3DES : DF_KEY_2K3DES;
    s.has_iso = (keys & 0x20) != 0;
    s.key_count = keys & 15;
    if (in.left > 0) {
        s.key_set_version = b_rd_u8(&in);
        s.key_sets = b_rd_u8(&in);
        s.key_set_max_size = b_rd_u8(&in);
        s.key_set_settings = b_rd_u8(&in);
    }
    if (!b_rd_end(&in))
        return false;
    *ret = s;
    return true;
}

bool df_rsp_file_settings(struct b_rd in, struct df_file_settings *ret)
{
    uint8_t type = b_rd_u8(&in);
    struct df_file_settings s = {.option = b_rd_u8(&in)};
    s.comm = (s.option & 3) == 3 ? DF_COMM_FULL : (s.option & 3) == 1 ? DF_COMM_MAC : DF_COMM_PLAIN;
    s.rights = df_rights_unpack(b_rd_le16(&in));
    if (type > DF_FILE_TMAC)
        return false;
    s.type = (enum df_file_type)type;
    if (s.type == DF_FILE_STANDARD || s.type == DF_FILE_BACKUP) {
        s.size = b_rd_le24(&in);
    } else if (s.type == DF_FILE_VALUE) {
        s.lower = (int32_t)b_rd_le32(&in);
        s.upper = (int32_t)b_rd_le32(&in);
        s.value = (int32_t)b_rd_le32(&in);
        s.limited_credit = b_rd_u8(&in);
    } else if (s.type == DF_FILE_TMAC) {
        b_rd_skip(&in, 2); /* key option and key version */
    } else {
        s.record_size = b_rd_le24(&in);
        s.record_max = b_rd_le24(&in);
        s.record_count = b_rd_le24(&in);
    }
    /* Options of EV2 and EV3 (further rights, secure dynamic messaging, counters) follow; they are
     * not ours to interpret. */
    bool is_extended = (s.option & 0xFC) != 0;
    if (!b_rd_ok(&in) || (in.left > 0 && !is_extended))
        return false;
    *ret = s;
    return true;
}

bool df_rsp_free_memory(struct b_rd in, uint32_t *ret_bytes)
{
    uint32_t v = b_rd_le24(&in);
    if (!b_rd_end(&in))
        return false;
    *ret_bytes = v;
    return true;
}

bool df_rsp_value(struct b_rd in, int32_t *ret)
{
    uint32_t v = b_rd_le32(&in);
    if (!b_rd_end(&in))
        return false;
    *ret = (int32_t)v;
    return true;
}

bool df_rsp_df_names(struct b_rd in, struct df_df_name *names, size_t cap, size_t *ret_count)
{
    size_t n = 0;
    while (b_rd_ok(&in) && in.left > 0) {
        struct b_rd record = b_rd_take(&in, b_rd_u8(&in));
        struct df_df_name name = {.aid = b_rd_le24(&record), .iso_fid = b_rd_le16(&record)};
        if (!b_rd_ok(&record) || record.left > sizeof(name.name) || n == cap)
            return false;
        name.name_len = (uint8_t)record.left;
        b_rd_bytes(&record, name.name, name.name_len);
        names[n++] = name;
    }
    *ret_count = n;
    return b_rd_end(&in);
}

const char *df_originality(const uint8_t uid[static 7], const uint8_t signature[static 56])
{
    /* NXP's public keys, secp224r1, as public readers carry them. */
    static const struct {
        const char *line;
        const char *key;
    } keys[] = {
        {"EV1",
         "04BB5D514F7050025C7D0F397310360EEC91EAF792E96FC7E0F496CB4E669D414F877B7B27901FE67C2E"
         "3B33CD39D1C797715189AC951C2ADD"},
        {"EV2",
         "04B304DC4C615F5326FE9383DDEC9AA892DF3A57FA7FFB3276192BC0EAA252ED45A865E3B093A3D0DCE5"
         "BE29E92F1392CE7DE321E3E5C52B3A"},
        {"EV2",
         "048A9B380AF2EE1B98DC417FECC263F8449C7625CECE82D9B916C992DA209D68422B81EC20B65A66B510"
         "2A61596AF3379200599316A00A1410"},
        {"EV2 XL",
         "04CD5D45E50B1502F0BA4656FF37669597E7E183251150F9574CC8DA56BF01C7ABE019E29FEA48F9C"
         "E22C3EA4029A765E1BC95A89543BAD1BC"},
        {"EV3",
         "041DB46C145D0A36539C6544BD6D9B0AA62FF91EC48CBC6ABAE36E0089A46F0D08C8A715EA40A63313B9"
         "2E90DDC1730230E0458A33276FB743"},
        {"Light",
         "040E98E117AAA36457F43173DC920A8757267F44CE4EC5ADD3C54075571AEBBF7B942A9774A1D94AD0"
         "2572427E5AE0A2DD36591B1FB34FCF3D"},
    };
    for (size_t i = 0; i < B_COUNT(keys); i++) {
        uint8_t key[57];
        struct b_wr w = b_wr_from(key, sizeof(key));
        if (b_unhex(&w, keys[i].key) && w.len == sizeof(key) &&
            crypto_p224_verify(key, uid, 7, signature))
            return keys[i].line;
    }
    return NULL;
}
