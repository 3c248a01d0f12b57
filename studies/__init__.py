"""What the papers claim, tested on the runs of `redqueen compare`. Not part of the package."""
