"""The daemon on a device or gateway."""
