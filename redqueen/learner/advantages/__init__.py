"""Credit assignment: from rewards to one advantage per sample, one file a scheme."""
