"""Speaker recognition from linear-prediction coefficients of a vowel pair."""
