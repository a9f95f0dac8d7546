"""Activity recognition from a wrist-worn inertial sensor."""
