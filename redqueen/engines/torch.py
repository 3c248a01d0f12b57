from redqueen.engines.auto import Torch
