"""What an inspection is: pure values and functions; no clock, thread, network or framework."""
