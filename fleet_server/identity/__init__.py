"""Who is who: operators with passwords and sessions, devices with one-time tokens and certificates."""
