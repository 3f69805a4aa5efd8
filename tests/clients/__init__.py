"""Other people's programs that speak OpenAI's API, against `qvac-desktop serve`."""
