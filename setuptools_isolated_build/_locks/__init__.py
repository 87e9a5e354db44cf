"""Locks between processes, and the turns of builds that share a source tree."""
