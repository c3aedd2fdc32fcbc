"""What every service stands on: errors, clock, configuration, telemetry, lifecycle."""
