"""Files inside volumes of pods, as LogConfigs wish them."""
