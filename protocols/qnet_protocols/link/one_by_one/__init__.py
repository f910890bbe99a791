"""The link protocol one-by-one, as a machine (``protocol``) and as a coroutine (``coroutine``)."""
