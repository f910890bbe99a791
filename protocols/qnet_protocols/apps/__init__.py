"""Applications: plain async functions over the session, to be run and to be read as examples."""
