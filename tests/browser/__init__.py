"""Real Chromium against the product as it is served."""
