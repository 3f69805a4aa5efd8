"""Real OpenAI-compatible servers that are not ours, as an owner runs them, and one that behaves as it is told."""
