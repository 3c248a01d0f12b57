"""Where a run's engines and its learning are computed: in this process, or on many machines."""
