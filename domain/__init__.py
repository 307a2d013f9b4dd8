"""The write model and the verification rules: standard library only, no I/O, no clock, no randomness."""
