"""Pure domain code: no I/O, no clock, no globals; the standard library and numpy only."""
