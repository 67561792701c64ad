"""Drawing only: textual and plain values, no input or output of their own, no backends but their models."""
