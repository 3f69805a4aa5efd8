"""The window as a screen reader sees it: a screen, a session bus, AT-SPI's registry, and the program in a process."""
