"""A second of 440 Hz in the formats that people record in: what `qvac-desktop --self-test` decodes. Made by us."""
