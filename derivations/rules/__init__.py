"""The derivations themselves: from the generic unit function to the records, in order."""
