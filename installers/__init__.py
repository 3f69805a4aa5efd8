"""Makes what a person installs: packages of one folder that holds the program, Python and every library.

installers/README.md says how; `python installers/build.py --help` what with.
"""
