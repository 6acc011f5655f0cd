"""The commands of ``zeroskip``, one per file, and what they share."""
