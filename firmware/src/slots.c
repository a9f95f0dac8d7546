#include "slots.h"

#define STATES ((uint8_t)FLOTA_SLOT_STATE_BAD + 1u)
#define NEVER 0xFFu

#define EMPTY FLOTA_SLOT_STATE_EMPTY
#define PENDING FLOTA_SLOT_STATE_PENDING
#define ARMED FLOTA_SLOT_STATE_ARMED
#define TESTING FLOTA_SLOT_STATE_TESTING
#define CONFIRMED FLOTA_SLOT_STATE_CONFIRMED
#define BAD FLOTA_SLOT_STATE_BAD

static const uint8_t TABLE[STATES][FLOTA_SLOT_EVENT_COUNT] = {
    /*               ERASE  RECEIVED ACTIVATE   BOOT     CONFIRM    REJECT */
    [EMPTY] =     {EMPTY, PENDING, NEVER,     NEVER,   NEVER,     NEVER},
    [PENDING] =   {EMPTY, NEVER,   ARMED,     NEVER,   NEVER,     BAD},
    [ARMED] =     {EMPTY, NEVER,   ARMED,     TESTING, NEVER,     BAD},
    [TESTING] =   {NEVER, NEVER,   NEVER,     NEVER,   CONFIRMED, BAD},
    [CONFIRMED] = {EMPTY, NEVER,   CONFIRMED, NEVER,   CONFIRMED, BAD},
    [BAD] =       {EMPTY, NEVER,   NEVER,     NEVER,   NEVER,     BAD},
};

int32_t flota_slot_step(uint8_t state, flota_slot_event_t event)
{
    if (state >= STATES || event >= FLOTA_SLOT_EVENT_COUNT || TABLE[state][event] == NEVER) {
        return -FLOTA_STATUS_WRONG_STATE;
    }
    return TABLE[state][event];
}
