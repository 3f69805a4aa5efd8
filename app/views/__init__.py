"""What is on screen: widgets that render a presenter's state and send its intents."""
