"""Watches folders of AI conversation transcripts and writes a short note beside each one."""

__version__ = "0.1.0"
