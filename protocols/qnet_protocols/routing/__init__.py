"""Path selection: routes from source to target, computed by the launcher before the run."""
