"""The verbs of eosin, one file each, with the names of the command line."""
