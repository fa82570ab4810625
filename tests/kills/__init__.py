"""Jobs over a lake, killed at every named step and at random moments: ``python -m tests.kills --only erase --random 200``."""
