"""The command line ``qnet``."""
