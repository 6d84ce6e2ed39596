#pragma once

/*
 * Notify: what the agent tells its service manager, by the protocol of sd_notify(3).
 * Without a manager ($NOTIFY_SOCKET), nothing. Never waits: a manager that is busy must
 * not hold up the uploads. 0; -EAGAIN: it did not get through, and may be told again
 * later.
 */

#include "clock.h"
#include "macro.h"

/* It watches its spools, whatever the state of the service. */
int notify_ready(void);
void notify_stopping(void);

/* Whether there is a manager. */
bool notify_is_heard(void);

/* To end, it needs @more time from now, however much it was given. */
void notify_extend(usec_t more);

/* It reads its configuration again; notify_ready() says that this is done. */
void notify_reloading(void);

/* The text that `systemctl status` shows. */
int notify_status(const char *format, ...) _printf_(1, 2);
