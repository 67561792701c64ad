"""What is measured, beside what it is measured against, in interleaved runs. Prints ratios; no test depends on it."""
