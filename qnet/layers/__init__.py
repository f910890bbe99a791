"""Service interfaces between the layers: requests go down, indications come up, all are plain records."""
