/*
 * Secure messaging: authentication and the protection of one command and its answer, both
 * directions of both sides. The reader and the writer of one message stand in one file:
 *
 *   sm.c         what is common: rules from the command table, dispatch by kind
 *   sm_d40.c     legacy (0x0A): 4-byte MACs, CRC16, the host only ever deciphers
 *   sm_ev1.c     EV1 (0x1A, 0xAA): one CBC chain for the whole session, CRC32
 *   sm_ev2.c     EV2 (0x71, 0x77): command counter, transaction identifier, truncated CMAC
 *   sm_key.c     the cryptogram of ChangeKey for all three
 *   handshake.c  the authentications, both sides
 *
 * Everything works on native fields: parameters after INS, answer bytes before the status; framing
 * is wire.h's. Private to src/desfire (and its tests, fuzzers and benchmarks). Holds session keys:
 * lives in b_secret memory; drop wipes.
 */
#ifndef TESSERE_DESFIRE_SM_H
#define TESSERE_DESFIRE_SM_H

#include "crypto/crypto.h"
#include "desfire/cmd.h"

enum df_sm_kind { DF_SM_NONE = 0, DF_SM_D40, DF_SM_EV1, DF_SM_EV2 };

struct df_sm {
    enum df_sm_kind kind;
    enum df_auth auth; /* how the session was opened */
    uint8_t key_no;
    uint8_t block;         /* of the session key's cipher: 8 or 16 */
    uint8_t ti[4];         /* EV2 */
    uint16_t counter;      /* EV2: commands since First, as the next command will carry it */
    uint8_t iv[16];        /* EV1: the chain */
    struct crypto_key mac; /* D40, EV1: the session key; EV2: KSesAuthMAC */
    struct crypto_key enc; /* EV2: KSesAuthENC */
    /* EV2: both keys are expanded when a message first needs them: a tap needs neither. */
    uint8_t mac_bytes[16], enc_bytes[16];
    bool has_mac, has_enc;
};

/* No session. The memory need not be initialised before. */
void df_sm_init(struct df_sm *sm);
/* Ends the session and wipes it. On a session of kind NONE it is free of cost. */
void df_sm_drop(struct df_sm *sm);
static inline bool df_sm_is_on(const struct df_sm *sm)
{
    return sm->kind != DF_SM_NONE;
}

/* How one command and its answer are protected; from the table by df_sm_rule. */
struct df_sm_rule {
    uint8_t ins;
    uint8_t head;      /* bytes of the parameters that are never encrypted; DF_HEAD_ALL: all */
    bool is_outside;   /* not protected, not counted */
    bool sends_mac;    /* command with data: EV1 and D40 send its MAC in MAC mode */
    bool answers_data; /* the answer is file data: D40 protects it */
    bool is_open;      /* EV1: length of the answer not known to the reader (read to the end), or
                          of the command to the card (ATS): padding is 80 00.. instead of zeros */
    enum df_comm command, answer;
};
/* comm: the file's mode, used only by rows of DF_MODE_FILE*. */
struct df_sm_rule df_sm_rule(enum df_cmd cmd, enum df_comm comm);

/* Reader: parameters (header, then data) in, protected parameters appended to out. False when out
 * has no room or the EV2 counter is at its end: then nothing may be sent. */
B_NODISCARD bool df_sm_wrap_command(struct df_sm *sm, const struct df_sm_rule *rule,
                                    struct b_rd head, struct b_rd data, struct b_wr *out);
/* Card: protected parameters as they came, whole; in place. *len becomes the length of the plain
 * header and data. data_len: length of the plain data after the header when the card knows it (from
 * the length field of WriteData, from the command's fixed size), else SIZE_MAX. False when MAC, CRC
 * or padding is wrong: the card answers INTEGRITY_ERROR and drops the session. */
B_NODISCARD bool df_sm_unwrap_command(struct df_sm *sm, const struct df_sm_rule *rule,
                                      uint8_t *body, size_t *len, size_t data_len);
/* Card: plain answer in, protected answer appended to out. Counts the command (EV2). data may lie
 * where out writes (in place) if it starts there. status: the final one, OK for all but ReadSig. */
B_NODISCARD bool df_sm_wrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                                   struct b_rd data, struct b_wr *out);
/* Reader: protected answer, whole, in place; MACs are checked before anything is deciphered. *len
 * becomes the length of the plain answer. expect_len: that length when the reader knows it, else
 * SIZE_MAX. Counts the command (EV2). False when MAC, CRC or padding is wrong. */
B_NODISCARD bool df_sm_unwrap_answer(struct df_sm *sm, const struct df_sm_rule *rule,
                                     uint8_t status, uint8_t *body, size_t *len, size_t expect_len);

/* ChangeKey and ChangeKeyEV2. head: keyNo as sent (with type bits), or key set and keyNo. old:
 * NULL when the key is the session's own (then the answer is bare and the session is over), else
 * the key that is replaced. */
struct df_sm_key_change {
    uint8_t ins;
    uint8_t head[2];
    uint8_t head_len;
    const struct df_key *old;
};
/* Reader: appends header and cryptogram to out. */
B_NODISCARD bool df_sm_wrap_key(struct df_sm *sm, const struct df_sm_key_change *change,
                                const struct df_key *new_key, struct b_wr *out);
/* Card: body is the whole of the protected parameters, header first; it is overwritten. type: of
 * the new key, as the card knows it from the application or the header. ret_key is written only on
 * success. (3)DES versions come from the key's low bits. */
B_NODISCARD bool df_sm_unwrap_key(struct df_sm *sm, const struct df_sm_key_change *change,
                                  enum df_key_type type, uint8_t *body, size_t len,
                                  struct df_key *ret_key);

/* The files of the three kinds, called through the dispatch above. */
bool df_sm_d40_wrap_command(struct df_sm *sm, const struct df_sm_rule *rule, struct b_rd head,
                            struct b_rd data, struct b_wr *out);
bool df_sm_d40_unwrap_command(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t *body,
                              size_t *len, size_t data_len);
bool df_sm_d40_wrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                           struct b_rd data, struct b_wr *out);
bool df_sm_d40_unwrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                             uint8_t *body, size_t *len, size_t expect_len);
bool df_sm_ev1_wrap_command(struct df_sm *sm, const struct df_sm_rule *rule, struct b_rd head,
                            struct b_rd data, struct b_wr *out);
bool df_sm_ev1_unwrap_command(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t *body,
                              size_t *len, size_t data_len);
bool df_sm_ev1_wrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                           struct b_rd data, struct b_wr *out);
bool df_sm_ev1_unwrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                             uint8_t *body, size_t *len, size_t expect_len);
bool df_sm_ev2_wrap_command(struct df_sm *sm, const struct df_sm_rule *rule, struct b_rd head,
                            struct b_rd data, struct b_wr *out);
bool df_sm_ev2_unwrap_command(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t *body,
                              size_t *len, size_t data_len);
bool df_sm_ev2_wrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                           struct b_rd data, struct b_wr *out);
bool df_sm_ev2_unwrap_answer(struct df_sm *sm, const struct df_sm_rule *rule, uint8_t status,
                             uint8_t *body, size_t *len, size_t expect_len);
/* D40 deciphers to send (facts of the legacy mode): C[i] = D(P[i] ^ C[i-1]); and back. In place. */
void df_sm_d40_send(const struct crypto_key *key, uint8_t *p, size_t n);
void df_sm_d40_receive(const struct crypto_key *key, uint8_t *p, size_t n);

/* Deciphered data || CRC || padding. Where does the data end? known: its length, or SIZE_MAX: then
 * the shortest end whose CRC and padding (zeros, or 80 and zeros) are right. */
struct df_sm_sealed {
    const uint8_t *p;
    size_t n;
    size_t block, crc_len;
    bool (*has_crc)(const struct df_sm_sealed *sealed, size_t data_len);
    const struct df_sm_rule *rule;
    struct b_rd head; /* command: what the CRC runs over before the data */
    uint8_t status;   /* answer */
};
bool df_sm_find_end(const struct df_sm_sealed *sealed, size_t known, size_t *ret_len);
/* Length of data and CRC after padding: with zeros, or (marked) with 80 and zeros, at least 80. */
size_t df_sm_padded(size_t n, size_t block, bool is_marked);
/* Reserves room for n padded bytes, with the padding written; NULL when there is none. */
uint8_t *df_sm_reserve(struct b_wr *out, size_t n, size_t block, bool is_marked);

/* EV2: session keys by SV1 and SV2 (AN12343 §3.2). enc and mac get 16 bytes each. */
void df_sm_ev2_vector(uint8_t sv[static 32], uint8_t label0, uint8_t label1,
                      const uint8_t a[static 16], const uint8_t b[static 16]);
/* Session keys of a transaction MAC file (AN12343; transaction counter before the transaction). */
void df_sm_tmac_keys(const struct crypto_key *key, uint32_t counter, const uint8_t uid[static 7],
                     uint8_t mac[static 16], uint8_t enc[static 16]);

/*
 * The five authentications. Reader:
 *     df_hs_begin, [card answers its challenge], df_hs_token, [card answers], df_hs_finish
 * Card:
 *     df_hs_begin, df_hs_challenge, [token comes], df_hs_accept
 * The session is opened (over the old one: EV2 NonFirst keeps identifier and counter) by finish
 * and accept only. begin does not touch sm; a caller ends the old session itself when the
 * authentication is not NonFirst. drop wipes.
 */
struct df_handshake {
    enum df_auth how;
    uint8_t key_no;
    uint8_t size; /* of one random number: 8 or 16 */
    bool is_des;  /* both halves of the key are equal: the session key is single DES */
    bool is_three;
    uint8_t iv[16];
    uint8_t a[16], b[16];
    struct crypto_key key;
};
/* False when this kind of key cannot be used so (3K3DES with D40, DES with AES, ...). */
B_NODISCARD bool df_hs_begin(struct df_handshake *hs, enum df_auth how, uint8_t key_no,
                             const struct df_key *key);
void df_hs_drop(struct df_handshake *hs);
/* Card: b has hs->size random bytes; appends the enciphered challenge. */
void df_hs_challenge(struct df_handshake *hs, const uint8_t *b, struct b_wr *out);
/* Reader: challenge must be hs->size bytes, a has hs->size random bytes; appends the token. */
B_NODISCARD bool df_hs_token(struct df_handshake *hs, struct b_rd challenge, const uint8_t *a,
                             struct b_wr *out);
/* What EV2 First carries besides: new identifier (from the card), capabilities. */
struct df_hs_caps {
    uint8_t ti[4];
    uint8_t picc[6], pcd[6];
};
/* Card: false when the token does not prove the key. caps: EV2 First only, else NULL. */
B_NODISCARD bool df_hs_accept(struct df_handshake *hs, struct df_sm *sm, struct b_rd token,
                              const struct df_hs_caps *caps, struct b_wr *out);
/* Reader: false when the answer does not prove the key. */
B_NODISCARD bool df_hs_finish(struct df_handshake *hs, struct df_sm *sm, struct b_rd answer);
/* ISO/IEC 7816-4 three passes, both sides: E(first || second) with IV 0, RPCD1 || RPICC1 in
 * EXTERNAL AUTHENTICATE, RPICC2 || RPCD2 in the answer to INTERNAL AUTHENTICATE; first and second
 * have hs->size bytes. open is false when the length is wrong. */
void df_hs_iso_seal(struct df_handshake *hs, const uint8_t *first, const uint8_t *second,
                    struct b_wr *out);
B_NODISCARD bool df_hs_iso_open(struct df_handshake *hs, struct b_rd in, uint8_t *first,
                                uint8_t *second);
/* Opens an EV1 session over two random numbers (ISO passes: RPCD1 and RPICC2). */
void df_hs_open_ev1(struct df_handshake *hs, struct df_sm *sm, const uint8_t *a, const uint8_t *b);

#endif
