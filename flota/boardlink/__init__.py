"""The board link: one framed serial protocol between a host and a microcontroller."""
