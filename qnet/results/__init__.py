"""What a run folder holds, for people: pairs, trace, tables, plots. Reads files, runs nothing."""
