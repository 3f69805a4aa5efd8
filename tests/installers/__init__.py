"""Packages as a person gets them: built, installed where nothing else is, tried, removed."""
