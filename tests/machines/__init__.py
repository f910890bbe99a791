"""Protocol machines, scripted and in memory."""
