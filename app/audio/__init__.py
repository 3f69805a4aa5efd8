"""The microphone: what it says (`hearing`), who listens to it (`microphone`), and by which library (`system_input`)."""
