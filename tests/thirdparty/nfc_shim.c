/*
 * The part of libnfc that libfreefare and its programs call, over PC/SC: preloaded, it lets stock
 * programs that know only libnfc drive any PC/SC reader. Debian's libnfc has no PC/SC driver.
 *
 * One device, one tag: the first reader that holds a card, or the one whose name contains
 * $TESSERE_READER. libfreefare wraps native commands in ISO 7816-4 itself, so bytes pass unchanged.
 * $NFC_SHIM_LOG names a file to which each exchange is appended.
 */
#include <nfc/nfc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winscard.h>

#define EXPORTED __attribute__((visibility("default")))

struct nfc_context {
    SCARDCONTEXT pcsc;
    char reader[MAX_READERNAME];
};

struct nfc_device {
    struct nfc_context *context;
    SCARDHANDLE card;
    bool is_connected;
    int last_error;
};

/* libfreefare knows a DESFire by its SAK and the start of its ATS (AN10833, table 5). */
static const uint8_t sak_iso14443_4 = 0x20;
static const uint8_t ats_desfire[] = {0x75, 0x77, 0x81, 0x02, 0x80};

static void log_bytes(char direction, const uint8_t *p, size_t n)
{
    const char *path = getenv("NFC_SHIM_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log)
        return;
    fprintf(log, "%c", direction);
    for (size_t i = 0; i < n; i++)
        fprintf(log, " %02X", p[i]);
    fprintf(log, "\n");
    fclose(log);
}

/* The first reader with a card in it, or nothing in context->reader. */
static void find_reader(struct nfc_context *context)
{
    const char *wanted = getenv("TESSERE_READER");
    char names[1024] = "";
    DWORD size = sizeof names;
    context->reader[0] = '\0';
    if (SCardListReaders(context->pcsc, NULL, names, &size) != SCARD_S_SUCCESS)
        return;
    for (const char *name = names; *name; name += strlen(name) + 1) {
        SCARD_READERSTATE state = {.szReader = name};
        if (wanted && !strstr(name, wanted))
            continue;
        if (SCardGetStatusChange(context->pcsc, 0, &state, 1) != SCARD_S_SUCCESS ||
            !(state.dwEventState & SCARD_STATE_PRESENT))
            continue;
        snprintf(context->reader, sizeof context->reader, "%s", name);
        return;
    }
}

static int connect_card(nfc_device *device)
{
    DWORD protocol;
    if (device->is_connected)
        return 0;
    if (SCardConnect(device->context->pcsc, device->context->reader, SCARD_SHARE_EXCLUSIVE,
                     SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, &device->card,
                     &protocol) != SCARD_S_SUCCESS)
        return device->last_error = NFC_ETGRELEASED;
    device->is_connected = true;
    return 0;
}

static void disconnect_card(nfc_device *device)
{
    if (device->is_connected)
        SCardDisconnect(device->card, SCARD_RESET_CARD);
    device->is_connected = false;
}

static int exchange(nfc_device *device, const uint8_t *tx, size_t tx_len, uint8_t *rx, size_t cap)
{
    uint8_t answer[1024];
    DWORD size = sizeof answer;
    log_bytes('>', tx, tx_len);
    if (!device->is_connected || SCardTransmit(device->card, SCARD_PCI_T1, tx, tx_len, NULL, answer,
                                               &size) != SCARD_S_SUCCESS)
        return device->last_error = NFC_ERFTRANS;
    log_bytes('<', answer, size);
    if (size > cap)
        return device->last_error = NFC_EOVFLOW;
    memcpy(rx, answer, size);
    return (int)size;
}

static void describe(nfc_device *device, nfc_target *target)
{
    static const uint8_t get_uid[] = {0xFF, 0xCA, 0x00, 0x00, 0x00}; /* PC/SC part 3, 3.2.2.1.3 */
    uint8_t uid[16];
    nfc_iso14443a_info *info = &target->nti.nai;
    int n = exchange(device, get_uid, sizeof get_uid, uid, sizeof uid);
    memset(target, 0, sizeof *target);
    target->nm = (nfc_modulation){NMT_ISO14443A, NBR_106};
    info->btSak = sak_iso14443_4;
    info->szAtsLen = sizeof ats_desfire;
    memcpy(info->abtAts, ats_desfire, sizeof ats_desfire);
    if (n >= 6 && n <= 12) {
        info->szUidLen = (size_t)n - 2;
        memcpy(info->abtUid, uid, info->szUidLen);
    }
}

EXPORTED void nfc_init(nfc_context **ret)
{
    struct nfc_context *context = calloc(1, sizeof *context);
    if (context &&
        SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &context->pcsc) != SCARD_S_SUCCESS) {
        free(context);
        context = NULL;
    }
    *ret = context;
}

EXPORTED void nfc_exit(nfc_context *context)
{
    SCardReleaseContext(context->pcsc);
    free(context);
}

EXPORTED size_t nfc_list_devices(nfc_context *context, nfc_connstring names[], size_t cap)
{
    find_reader(context);
    if (!context->reader[0] || cap == 0)
        return 0;
    snprintf(names[0], sizeof names[0], "pcsc:%s", context->reader);
    return 1;
}

EXPORTED nfc_device *nfc_open(nfc_context *context, const nfc_connstring name)
{
    (void)name;
    find_reader(context);
    nfc_device *device = context->reader[0] ? calloc(1, sizeof *device) : NULL;
    if (device)
        device->context = context;
    return device;
}

EXPORTED void nfc_close(nfc_device *device)
{
    disconnect_card(device);
    free(device);
}

EXPORTED int nfc_initiator_init(nfc_device *device)
{
    return device->last_error = NFC_SUCCESS;
}

EXPORTED int nfc_device_set_property_bool(nfc_device *device, const nfc_property property,
                                          const bool value)
{
    (void)property;
    (void)value;
    return device->last_error = NFC_SUCCESS;
}

EXPORTED int nfc_initiator_list_passive_targets(nfc_device *device, const nfc_modulation modulation,
                                                nfc_target targets[], const size_t cap)
{
    if (modulation.nmt != NMT_ISO14443A || cap == 0 || connect_card(device) < 0)
        return 0;
    describe(device, &targets[0]);
    disconnect_card(device);
    return 1;
}

EXPORTED int nfc_initiator_select_passive_target(nfc_device *device,
                                                 const nfc_modulation modulation,
                                                 const uint8_t *init, const size_t init_len,
                                                 nfc_target *target)
{
    (void)init;
    (void)init_len;
    if (modulation.nmt != NMT_ISO14443A || connect_card(device) < 0)
        return device->last_error = NFC_ETGRELEASED;
    if (target)
        describe(device, target);
    return 1;
}

EXPORTED int nfc_initiator_deselect_target(nfc_device *device)
{
    disconnect_card(device);
    return device->last_error = NFC_SUCCESS;
}

EXPORTED int nfc_initiator_transceive_bytes(nfc_device *device, const uint8_t *tx,
                                            const size_t tx_len, uint8_t *rx, const size_t cap,
                                            int timeout)
{
    (void)timeout;
    return exchange(device, tx, tx_len, rx, cap);
}

EXPORTED int nfc_device_get_last_error(const nfc_device *device)
{
    return device->last_error;
}

EXPORTED const char *nfc_strerror(const nfc_device *device)
{
    return device->last_error == NFC_SUCCESS ? "success" : "PC/SC exchange failed";
}
