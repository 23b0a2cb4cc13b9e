"""The command line, one file a command group: parse, call one function of the floor below, print."""
