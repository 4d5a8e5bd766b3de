"""What the commands of the command line do, apart from `verify`: each returns text and may write files."""
