from redqueen.engines.auto import Auto as Cpu
