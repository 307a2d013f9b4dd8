"""HTTP and the command line: requests to commands, read models to answers."""
