"""The tests; `python3 dev.py test` sets up all that they need."""
