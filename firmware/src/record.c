#include "record.h"

#include <string.h>

#include "crc32.h"

static uint32_t sector_offset(const flota_core_t *core, uint32_t sector)
{
    return core->port->geometry.state_offset + sector * core->port->geometry.sector_bytes;
}

static bool record_valid(const flota_boot_record_t *record)
{
    if (record->magic != FLOTA_RECORD_MAGIC || record->version != FLOTA_RECORD_VERSION ||
        record->crc != flota_crc32_update(0, record, sizeof *record - 4u)) {
        return false;
    }
    return record->state[0] <= FLOTA_SLOT_STATE_BAD && record->state[1] <= FLOTA_SLOT_STATE_BAD &&
           (record->active < 2u || record->active == FLOTA_NO_SLOT);
}

void flota_record_load(flota_core_t *core)
{
    bool found = false;

    for (uint32_t sector = 0; sector < 2u; sector++) {
        flota_boot_record_t record;

        memcpy(&record, core->port->flash + sector_offset(core, sector), sizeof record);
        /* Sequences are compared by their difference, so that they may wrap. */
        if (record_valid(&record) && (!found || (int32_t)(record.sequence - core->record.sequence) > 0)) {
            core->record = record;
            core->record_sector = sector;
            found = true;
        }
    }
    if (!found) {
        memset(&core->record, 0, sizeof core->record);
        core->record.active = FLOTA_NO_SLOT;
        core->record.last_slot = FLOTA_NO_SLOT;
        core->record_sector = 1;
    }
}

int32_t flota_record_store(flota_core_t *core, const flota_boot_record_t *next)
{
    const flota_port_t *port = core->port;
    const uint32_t sector = 1u - core->record_sector;
    flota_boot_record_t record = *next;

    record.magic = FLOTA_RECORD_MAGIC;
    record.version = FLOTA_RECORD_VERSION;
    record.sequence = core->record.sequence + 1u;
    record.crc = flota_crc32_update(0, &record, sizeof record - 4u);
    core->counters.erases++;
    core->counters.programs++;
    if (port->flash_erase(port->context, sector_offset(core, sector)) != 0 ||
        port->flash_program(port->context, sector_offset(core, sector), (const uint8_t *)&record, sizeof record) != 0 ||
        memcmp(port->flash + sector_offset(core, sector), &record, sizeof record) != 0) {
        return -FLOTA_STATUS_FLASH_FAILED;
    }
    core->record = record;
    core->record_sector = sector;
    return 0;
}
